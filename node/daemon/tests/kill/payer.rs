//! The side that lives on: a customer with a channel on the development chain, and the handle of
//! the provider's process.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::{DevChain, DevGenesis};
use warren_payments::chain::serve::{Served, Timer, serve};
use warren_payments::store::MemoryStore;
use warren_payments::{PayFrame, Payments, PaymentsConfig, SettlePolicy, Wallet};
use warren_proto::{Amount, ChainRef, ChannelId, PayoutAddress, SessionFrame, VoucherAck};

use crate::payee::{PHRASE, ROLE};

pub(crate) const UNIT: u64 = 1_000_000_000;
const DEPOSIT: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn units(count: u64) -> Amount {
    Amount::from_wei_u64(UNIT * count)
}

pub(crate) fn config() -> PaymentsConfig {
    PaymentsConfig {
        confirmations: 1,
        poll: Duration::from_millis(10),
        max_head_age: None,
        settle: SettlePolicy {
            worth_factor: 0, // Claims when told.
            ..SettlePolicy::default()
        },
        ..PaymentsConfig::default()
    }
}

/// What pins the chain, as one word.
fn pinned(pins: &ChainRef) -> String {
    format!("{}/{}/{}", pins.chain_id, pins.contract, pins.token)
}

pub(crate) fn pins(text: &str) -> ChainRef {
    let [chain_id, contract, token] = text.split('/').collect::<Vec<_>>()[..] else {
        panic!("{text}")
    };
    let address = |it: &str| it.parse::<PayoutAddress>().unwrap();
    ChainRef {
        chain_id: chain_id.parse().unwrap(),
        contract: address(contract),
        token: address(token),
    }
}

/// Who pays: its process is never killed.
pub(crate) struct Customer {
    chain: DevChain,
    served: Served,
    payments: Payments,
    channel: ChannelId,
    provider: Wallet,
    home: tempfile::TempDir,
}

impl Customer {
    pub(crate) async fn new() -> Self {
        let chain = DevChain::new(&DevGenesis::default());
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let served = serve(chain.clone(), loopback, Timer::Off).await.unwrap();
        let (wallet, provider) = (Wallet::generate().unwrap(), Wallet::generate().unwrap());
        let coin = Amount::from_wei(1_000_000_000_000_000_000).unwrap();
        for it in [&wallet, &provider] {
            chain.fund(it.account(), coin, units(DEPOSIT)).unwrap();
        }
        let disk = Arc::new(MemoryStore::new());
        let (payments, _events) =
            Payments::start(Arc::new(chain.clone()), disk, wallet, config()).unwrap();
        let window = Duration::from_secs(3600);
        let opening = payments.open_channel(provider.account(), units(DEPOSIT), window);
        let channel = opening.await.unwrap();
        timeout(PATIENCE, payments.wait_usable(channel))
            .await
            .unwrap()
            .unwrap();
        let home = tempfile::tempdir().unwrap();
        Self {
            chain,
            served,
            payments,
            channel,
            provider,
            home,
        }
    }

    /// Starts the provider's process over the home it always had.
    pub(crate) fn provider(&self) -> Provider {
        let home = self.home.path().display();
        let role = format!(
            "{home} {} {} {}",
            self.served.url(),
            pinned(&self.chain.chain_ref()),
            self.channel
        );
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "payee::payee_process", "--nocapture"])
            .env(ROLE, role)
            .env(PHRASE, self.provider.phrase())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Provider {
            child,
            input,
            output,
        }
    }

    /// Begins a session as the product does after a break: voucher, what the payee saw, the rest.
    pub(crate) async fn begin(&self, provider: &mut Provider) {
        let price = Amount::from_wei_u64(UNIT);
        let voucher = self
            .payments
            .prepare_lock(self.channel, price)
            .await
            .unwrap();
        let seq = voucher.seq;
        provider.say(&SessionFrame::Voucher(voucher)).await;
        let value_now = provider.held().await;
        let ack = VoucherAck {
            channel: self.channel,
            seq,
            value_now,
            covered: units(DEPOSIT),
        };
        for frame in self.payments.payee_saw(ack).await.unwrap() {
            provider.say(&frame.into()).await;
            provider.held().await;
        }
    }

    /// Pays `words` words without waiting, kills the provider after `delay`, and gives the most it
    /// had acknowledged by then.
    pub(crate) async fn pay_until_killed(
        &self,
        provider: Provider,
        words: u64,
        delay: Duration,
    ) -> Amount {
        let Provider {
            mut child,
            mut input,
            mut output,
        } = provider;
        let mut frames: Vec<PayFrame> = Vec::new();
        for total in 1..=words {
            frames.extend(self.payments.release(self.channel, total).await.unwrap());
        }
        let killer = async {
            tokio::time::sleep(delay).await;
            child.start_kill().unwrap();
            child.wait().await.unwrap()
        };
        let writer = async {
            for frame in frames {
                // The pipe of a killed process breaks: that is the point.
                if send(&mut input, &frame.into()).await.is_err() {
                    return;
                }
            }
        };
        let reader = async {
            let mut most = units(0);
            while let Ok(Some(line)) = output.next_line().await {
                most = most.max(amount(&line).unwrap_or(most));
            }
            most
        };
        let (status, (), most) = tokio::join!(killer, writer, reader);
        assert!(!status.success(), "killed, not ended");
        most
    }

    pub(crate) async fn released(&self) -> Amount {
        self.payments.channels().await.unwrap()[0].value
    }

    pub(crate) async fn claimed(&self) -> Amount {
        self.chain
            .channel(self.channel)
            .await
            .unwrap()
            .unwrap()
            .claimed
    }
}

/// The provider's process.
pub(crate) struct Provider {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

async fn send(input: &mut ChildStdin, frame: &SessionFrame) -> std::io::Result<()> {
    input
        .write_all(format!("{}\n", hex::encode(frame.encode())).as_bytes())
        .await
}

/// Reads `held WEI`.
fn amount(line: &str) -> Option<Amount> {
    let wei = line.strip_prefix("held ")?.parse().ok()?;
    Amount::from_wei(wei).ok()
}

impl Provider {
    async fn say(&mut self, frame: &SessionFrame) {
        send(&mut self.input, frame).await.unwrap();
    }

    /// The next answer, which is no refusal.
    async fn held(&mut self) -> Amount {
        let answered = async {
            loop {
                let line = self
                    .output
                    .next_line()
                    .await
                    .unwrap()
                    .expect("the provider lives");
                assert!(!line.starts_with("refused "), "{line}");
                if let Some(held) = amount(&line) {
                    return held;
                }
            }
        };
        timeout(PATIENCE, answered).await.unwrap()
    }

    async fn order(&mut self, order: &str) -> Amount {
        self.input
            .write_all(format!("{order}\n").as_bytes())
            .await
            .unwrap();
        self.held().await
    }

    pub(crate) async fn begin(&mut self) -> Amount {
        self.order("begin").await
    }

    pub(crate) async fn claim(&mut self) {
        self.order("claim").await;
    }

    /// Waits for its end too: the next one takes its locks.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
