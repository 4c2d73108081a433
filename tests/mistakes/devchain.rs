//! A real development chain in a process of its own, and the way to it: honest, or not any more.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use warren_proto::ChainRef;

use crate::home::program;

/// What no log, no page and no error may say.
pub(crate) const SECRET: &str = "s3cret";
/// The selector of the token's `balanceOf(address)`.
const BALANCE_OF: &str = "0x70a08231";
/// The longest request or answer that is carried.
const MAX_BYTES: u64 = 16 << 20;

/// What a configuration says of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    pub(crate) url: String,
    /// Other endpoints of the same chain.
    pub(crate) others: Vec<String>,
    pub(crate) chain_id: u64,
    pub(crate) contract: String,
    pub(crate) token: String,
}

impl Pins {
    pub(crate) fn chain_ref(&self) -> ChainRef {
        let account = |text: &str| text.parse().expect("an address");
        ChainRef {
            chain_id: self.chain_id,
            contract: account(&self.contract),
            token: account(&self.token),
        }
    }

    pub(crate) fn section(&self) -> String {
        let mut urls = vec![self.url.clone()];
        urls.extend(self.others.iter().cloned());
        format!(
            "[chain]\nrpc_url = {:?}\nchain_id = {}\ncontract = {:?}\ntoken = {:?}\npoll_millis = 200\n",
            urls, self.chain_id, self.contract, self.token
        )
    }
}

/// How the way to the chain behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Carries everything.
    Honest,
    /// Hangs up on everybody.
    Dead,
    /// Listens and never answers.
    Silent,
    /// Answers what is not even JSON.
    Babble,
    /// Answers JSON-RPC that is no answer to the question.
    Nonsense,
    /// Says that it is another chain; carries the rest.
    OtherChain,
    /// Says that the contract is another program; carries the rest.
    OtherCode,
    /// Tells of larger deposits than there are.
    Inventing,
    /// Says that everybody has more than they have.
    Flattering,
    /// Knows no block beyond this one.
    Behind(u64),
}

/// A chain with its wire; both end with it.
#[derive(Debug)]
pub(crate) struct Devchain {
    child: Child,
    chain: SocketAddr,
    pub(crate) pins: Pins,
    manner: Arc<Mutex<Manner>>,
    unanswered: Arc<AtomicUsize>,
}

/// One more way to a chain.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) url: String,
    manner: Arc<Mutex<Manner>>,
}

impl Wire {
    /// From now on, for every request.
    pub(crate) fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }
}

impl Devchain {
    pub(crate) fn start() -> Self {
        let args = ["--json", "devchain", "--listen", "127.0.0.1:0"];
        let mut child = Command::new(program())
            .args(args)
            .args(["--block-ms", "100"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::open("/dev/null").expect("a device"))
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        out.read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("one JSON document");
        let text = |key: &str| said[key].as_str().expect("text").to_owned();
        let chain: SocketAddr = text("url").trim_start_matches("http://").parse().unwrap();
        let manner = Arc::new(Mutex::new(Manner::Honest));
        let unanswered = Arc::<AtomicUsize>::default();
        let wire = lay_wire(chain, Arc::clone(&manner), Arc::clone(&unanswered));
        Self {
            child,
            chain,
            pins: Pins {
                url: format!("http://{wire}"),
                others: Vec::new(),
                chain_id: said["chain_id"].as_u64().expect("a number"),
                contract: text("contract"),
                token: text("token"),
            },
            manner,
            unanswered,
        }
    }

    /// From now on, for every request.
    pub(crate) fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// How many requests found it silent.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::SeqCst)
    }

    /// Lays one more wire, whose address has a secret in its path.
    pub(crate) fn wire(&self) -> Wire {
        let manner = Arc::new(Mutex::new(Manner::Honest));
        let wire = lay_wire(self.chain, Arc::clone(&manner), Arc::default());
        Wire {
            url: format!("http://{wire}/v3/{SECRET}"),
            manner,
        }
    }

    /// The number of the newest block.
    pub(crate) fn tip(&self) -> u64 {
        let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
        let answer = ask(self.chain, &asked).expect("the chain");
        number(&answer["result"]).expect("a number")
    }
}

impl Drop for Devchain {
    fn drop(&mut self) {
        // Gone already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// Carries requests to `chain`, one connection each, in the manner of the moment.
fn lay_wire(
    chain: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    silenced: Arc<AtomicUsize>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut unanswered = Vec::new();
        for stream in listener.incoming().flatten() {
            let manner = *manner.lock().unwrap();
            match manner {
                Manner::Dead => drop(stream),
                Manner::Silent => {
                    unanswered.push(stream);
                    silenced.fetch_add(1, Ordering::SeqCst);
                }
                Manner::Honest
                | Manner::Babble
                | Manner::Nonsense
                | Manner::OtherChain
                | Manner::OtherCode
                | Manner::Inventing
                | Manner::Flattering
                | Manner::Behind(_) => {
                    unanswered.clear();
                    // Whoever hangs up in the middle is not our trouble.
                    std::thread::spawn(move || carry(stream, chain, manner));
                }
            }
        }
    });
    address
}

fn carry(mut from: TcpStream, chain: SocketAddr, manner: Manner) -> Option<()> {
    from.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let (head, body) = read_message(&mut from)?;
    let mut request: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let lie = |result: Value| {
        serde_json::json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string()
    };
    let answer = match manner {
        Manner::Babble => Some("<html>welcome</html>".to_owned()),
        Manner::Nonsense => Some(lie(serde_json::json!({ "a": 1 }))),
        Manner::OtherChain if request["method"] == "eth_chainId" => {
            Some(lie(Value::String("0x1".to_owned())))
        }
        Manner::OtherCode if request["method"] == "eth_getCode" => {
            Some(lie(Value::String("0x6001".to_owned())))
        }
        Manner::Honest
        | Manner::Dead
        | Manner::Silent
        | Manner::OtherChain
        | Manner::OtherCode
        | Manner::Inventing
        | Manner::Flattering
        | Manner::Behind(_) => None,
    };
    if let Some(answer) = answer {
        return say(&mut from, &answer);
    }
    if !manner.is_plain() {
        ask_less(&mut request, manner);
        let answer = twist(&request, ask(chain, &request)?, manner);
        return say(&mut from, &answer.to_string());
    }
    let mut to = TcpStream::connect(chain).ok()?;
    // One request a connection: the next one is carried in the manner of its own moment.
    let kept = head
        .lines()
        .filter(|it| !it.to_ascii_lowercase().starts_with("connection:"));
    let head: Vec<&str> = kept.filter(|it| !it.is_empty()).collect();
    write!(to, "{}\r\nconnection: close\r\n\r\n", head.join("\r\n")).ok()?;
    to.write_all(&body).ok()?;
    let mut answer = Vec::new();
    to.take(MAX_BYTES).read_to_end(&mut answer).ok()?;
    from.write_all(&answer).ok()
}

impl Manner {
    /// Whether what is carried is carried unread.
    const fn is_plain(self) -> bool {
        !matches!(self, Self::Inventing | Self::Flattering | Self::Behind(_))
    }
}

fn say(to: &mut TcpStream, answer: &str) -> Option<()> {
    let length = answer.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    write!(to, "{head}\r\ncontent-length: {length}\r\n\r\n{answer}").ok()
}

/// Asks the chain itself.
fn ask(chain: SocketAddr, request: &Value) -> Option<Value> {
    let body = request.to_string();
    let mut stream = TcpStream::connect(chain).ok()?;
    let head =
        "POST / HTTP/1.1\r\nhost: chain\r\ncontent-type: application/json\r\nconnection: close";
    let length = body.len();
    write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}").ok()?;
    let (_, answer) = read_message(&mut stream)?;
    serde_json::from_slice(&answer).ok()
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// One that is behind is asked about what it has.
fn ask_less(request: &mut Value, manner: Manner) {
    let Manner::Behind(newest) = manner else {
        return;
    };
    let last = json!(format!("{newest:#x}"));
    if request["method"] == "eth_getLogs" {
        let to = &mut request["params"][0]["toBlock"];
        if number(to).is_none_or(|it| it > newest) {
            *to = last;
        }
        return;
    }
    for it in request["params"].as_array_mut().into_iter().flatten() {
        if *it == "latest" {
            *it = last.clone();
        }
    }
}

/// What is made of the chain's own answer.
fn twist(request: &Value, mut answer: Value, manner: Manner) -> Value {
    let method = request["method"].as_str().unwrap_or_default();
    let result = &mut answer["result"];
    match (manner, method) {
        (Manner::Behind(newest), "eth_getBlockByNumber" | "eth_getTransactionReceipt") => {
            let block = number(&result["number"]).or_else(|| number(&result["blockNumber"]));
            if block.is_some_and(|it| it > newest) {
                *result = Value::Null;
            }
        }
        (Manner::Flattering, "eth_getBalance") => *result = json!("0xffffffffffffffff"),
        (Manner::Flattering, "eth_call") => {
            let data = request["params"][0]["data"].as_str().unwrap_or_default();
            let of_tokens = data.starts_with(BALANCE_OF);
            let more = result.as_str().filter(|it| of_tokens && it.len() == 66);
            let more = more.map(|it| format!("{}7{}", &it[..50], &it[51..]));
            if let Some(more) = more {
                *result = json!(more);
            }
        }
        (Manner::Inventing, "eth_getLogs") => {
            for log in result.as_array_mut().into_iter().flatten() {
                let is_opened = log["topics"].as_array().is_some_and(|it| it.len() == 4);
                if let (true, Some(data)) = (is_opened, log["data"].as_str()) {
                    let (rest, sum) = data.split_at(data.len() - 64);
                    log["data"] = json!(format!("{rest}{}0", &sum[1..]));
                }
            }
        }
        _ => {}
    }
    answer
}

/// The head and the body of one HTTP message with a `content-length`.
fn read_message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream.take(MAX_BYTES));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
