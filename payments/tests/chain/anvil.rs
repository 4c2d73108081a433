//! The same stories on a foreign node: anvil, where it is installed (`npm ci` in contracts/).

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::HttpClient;
use serde_json::{Value, json};
use warren_payments::calls::Call;
use warren_payments::chain::rpc::RpcChain;
use warren_proto::{Amount, ChainRef, PayoutAddress};

use crate::world::{Hands, World, key};

/// A node of its own; it ends with this.
pub(crate) struct Anvil {
    child: Child,
    client: HttpClient,
    pub(crate) url: String,
}

impl Anvil {
    /// Starts one on a free port; `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let mut child = Command::new(binary()?)
            .args(["--port", "0", "--hardfork", "prague"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(child.stdout.take()?).lines();
        let said = lines.by_ref().map_while(Result::ok);
        let address = said
            .into_iter()
            .find_map(|it| it.strip_prefix("Listening on ").map(str::to_owned));
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let url = format!("http://{}", address.expect("anvil says where it listens"));
        let client = HttpClient::builder().build(&url).ok()?;
        Some(Self { child, client, url })
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        let mut list = ArrayParams::new();
        params
            .as_array()
            .unwrap()
            .iter()
            .for_each(|it| list.insert(it).unwrap());
        self.client.request(method, list).await.unwrap()
    }

    pub(crate) async fn advance(&self, span: Duration) {
        self.ask("evm_increaseTime", json!([span.as_secs()])).await;
        self.ask("evm_mine", json!([])).await;
    }

    /// Sends from the node's own first account; returns the receipt.
    async fn send(&self, to: Option<PayoutAddress>, data: &str) -> Value {
        let accounts = self.ask("eth_accounts", json!([])).await;
        let mut tx = json!({ "from": accounts[0], "data": data });
        if let Some(to) = to {
            tx["to"] = json!(to.to_string());
        }
        let hash = self.ask("eth_sendTransaction", json!([tx])).await;
        let receipt = self.receipt(hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// Waits for the block: the node makes it by itself, but not at once.
    async fn receipt(&self, hash: Value) -> Value {
        loop {
            let receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn deploy(&self, name: &str, arguments: &str) -> PayoutAddress {
        let path = contracts().join(format!("artefacts/{name}.json"));
        let artefact: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let code = format!("{}{arguments}", artefact["bytecode"].as_str().unwrap());
        let receipt = self.send(None, &code).await;
        receipt["contractAddress"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    pub(crate) async fn world(self) -> World {
        let token = self.deploy("DevToken", "").await;
        let argument = format!("{:0>64}", &token.to_string()[2..]);
        let contract = self.deploy("ChainLock", &argument).await;
        let pins = ChainRef {
            chain_id: 31337,
            contract,
            token,
        };
        for index in 0..3 {
            let to = key(index).address();
            self.ask(
                "anvil_setBalance",
                json!([to.to_string(), "0xde0b6b3a7640000"]),
            )
            .await;
            let mint = Call::Mint {
                to,
                amount: Amount::from_wei_u64(1 << 60),
            };
            self.send(Some(token), &format!("0x{}", hex::encode(mint.data(&pins))))
                .await;
        }
        let chain = RpcChain::connect(&self.url, pins).await.unwrap();
        World::on(Arc::new(chain), Hands::Anvil(self))
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn contracts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../contracts")
}

/// The program itself, not npm's wrapper around it: ending the wrapper would leave it running.
fn binary() -> Option<PathBuf> {
    let packages = contracts().join("node_modules/@foundry-rs");
    let dirs = std::fs::read_dir(packages).ok()?.filter_map(Result::ok);
    dirs.map(|it| it.path().join("bin/anvil"))
        .find(|it| it.is_file())
}

#[tokio::test]
async fn a_channel_lives_on_a_foreign_node() {
    let Some(anvil) = Anvil::start() else {
        eprintln!("SKIPPED: no anvil; run `npm ci` in payments/contracts");
        return;
    };
    crate::contract::life(&anvil.world().await).await;
}

#[tokio::test]
async fn a_foreign_node_refuses_in_words_we_know() {
    let Some(anvil) = Anvil::start() else {
        eprintln!("SKIPPED: no anvil; run `npm ci` in payments/contracts");
        return;
    };
    crate::refusals::refusals(&anvil.world().await).await;
}
