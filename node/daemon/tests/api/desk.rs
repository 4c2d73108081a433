//! A node that answers from memory: what the API's tests talk to.

use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use tokio::sync::{Notify, mpsc};
use warren_daemon::api::types::*;
use warren_daemon::api::{Answer, ApiServer, Client, NodeControl, STREAM_BOUND};
use warren_daemon::config::Token;
use warren_daemon::error::{ErrorCode, Problem};
use warren_daemon::metrics::{Metric, Metrics};
use warren_proto::{
    Amount, ChannelId, NodeId, PayoutAddress, PolicyId, Region, SessionId, UnixTime,
};

pub(crate) use crate::facts::consumer;

use crate::facts::{exit_shown, exit_status, ledger, transaction};

pub(crate) const NODE: NodeId = NodeId::from_bytes([1; 32]);
pub(crate) const EXIT: NodeId = NodeId::from_bytes([2; 32]);
pub(crate) const SESSION: SessionId = SessionId::from_bytes([3; 16]);
pub(crate) const CHANNEL: ChannelId = ChannelId::from_bytes([4; 32]);
const ADDRESS: PayoutAddress = PayoutAddress::from_bytes([5; 20]);

/// Remembers what it was asked, answers with fixed facts.
#[derive(Default)]
pub(crate) struct Desk {
    /// What was asked, as text.
    pub(crate) asked: Mutex<Vec<String>>,
    /// Where events for the streams are put in.
    pub(crate) events: Mutex<Option<mpsc::Sender<NodeEvent>>>,
    /// Told when somebody listens to events.
    pub(crate) listened: Notify,
    /// Whoever holds it holds up the orders to become an exit; `listened` tells of each that came.
    pub(crate) slow: tokio::sync::Mutex<()>,
    metrics: Metrics,
}

/// A served desk, its client, and the way to end it.
pub(crate) struct Served {
    pub(crate) desk: Arc<Desk>,
    pub(crate) client: Client,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) end: Arc<Notify>,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

pub(crate) fn socket(folder: &Path) -> std::path::PathBuf {
    folder.join("warren.sock")
}

pub(crate) fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let server = ApiServer::bind(&socket(folder.path()), None).unwrap();
    let (desk, end) = (Arc::new(Desk::default()), Arc::new(Notify::new()));
    let told = Arc::clone(&end);
    let ending = async move { told.notified().await };
    let node: Arc<dyn NodeControl> = desk.clone();
    let task = tokio::spawn(async move { server.serve(node, ending).await.unwrap() });
    let client = Client::new(&socket(folder.path()));
    Served {
        desk,
        client,
        folder,
        end,
        task,
    }
}

pub(crate) fn money(wei: u64) -> Money {
    Money::of(
        Amount::from_wei_u64(wei),
        &Token {
            symbol: "WRN".to_owned(),
            decimals: 18,
        },
    )
}

pub(crate) fn price() -> PriceView {
    PriceView {
        per_gib: money(2_000_000_000_000_000),
        per_minute: money(0),
    }
}

pub(crate) fn time() -> Timestamp {
    Timestamp(UnixTime::from_secs(1_795_370_400))
}

pub(crate) fn policy() -> PolicyId {
    PolicyId {
        name: "web+dns".to_owned(),
        hash: [6; 32],
    }
}

pub(crate) fn region() -> Region {
    Region {
        country: "DE".parse().unwrap(),
        city: "Kiel".to_owned(),
    }
}

pub(crate) fn event(id: u64) -> NodeEvent {
    NodeEvent {
        id,
        at: time(),
        kind: NodeEventKind::Peer,
        text: format!("event {id}"),
        node: Some(EXIT),
        session: None,
        channel: None,
    }
}

impl Desk {
    fn note<T: Send + 'static>(&self, asked: impl ToString, answer: T) -> Answer<'_, T> {
        self.asked.lock().unwrap().push(asked.to_string());
        self.metrics.add(Metric::Claims, 1);
        async move { Ok(answer) }.boxed()
    }
}

impl NodeControl for Desk {
    fn status(&self) -> Answer<'_, Status> {
        let status = Status {
            node: NODE,
            network: "warren/1".to_owned(),
            version: "0.1.0".to_owned(),
            started: time(),
            overlay: OverlayView {
                peers: 3,
                offers: 2,
                listen: Vec::new(),
            },
            chain: None,
            consumer: Some(consumer()),
            choosing: false,
            kill_switch: true,
            exit: None,
            router: None,
            store: StoreView::default(),
            warnings: vec![Problem::new(
                ErrorCode::NoPeers,
                "0 of 3 bootstrap addresses answer",
            )],
        };
        self.note("status", status)
    }

    fn exits(&self, query: ExitsQuery) -> Answer<'_, ExitList> {
        let (exits, known) = (Vec::new(), 7);
        self.note(format!("{query:?}"), ExitList { exits, known })
    }

    fn exit_shown(&self, query: ExitQuery) -> Answer<'_, ExitShown> {
        self.note(format!("exit {}", query.exit), exit_shown())
    }

    fn up(&self, request: UpRequest) -> Answer<'_, mpsc::Receiver<UpEvent>> {
        if request.max_spend.as_deref() == Some("0") {
            let problem = Problem::new(ErrorCode::SpendingCap, "0 WRN is less than 0.00001 WRN");
            return async move { Err(problem) }.boxed();
        }
        let (outbox, inbox) = mpsc::channel(STREAM_BOUND);
        let stage = |stage, text: &str| UpEvent::Progress {
            stage,
            done: true,
            text: text.to_owned(),
        };
        for event in [
            stage(UpStage::Exit, "exit 0202 in DE"),
            stage(UpStage::Tunnel, "handshake 21 ms"),
            UpEvent::Up(Box::new(consumer())),
        ] {
            outbox.try_send(event).unwrap();
        }
        self.note(format!("{request:?}"), inbox)
    }

    fn down(&self, request: DownRequest) -> Answer<'_, DownReport> {
        let report = DownReport {
            session: SESSION,
            used: UsageView::default(),
            served_secs: 61,
            paid: money(8),
            channel_keeps: Some(money(92)),
            still_blocked: request.keep_blocked,
        };
        self.note("down", report)
    }

    fn exit_check(&self) -> Answer<'_, ExitCheck> {
        let docker = Problem::new(ErrorCode::ForwardDropped, "policy DROP");
        let checks = vec![
            Check::pass("tun", "/dev/net/tun opens"),
            Check::not_fine("docker", CheckVerdict::Fail, docker),
        ];
        self.note(
            "exit check",
            ExitCheck {
                ready: false,
                checks,
            },
        )
    }

    fn exit_terms(&self, query: ExitTermsQuery) -> Answer<'_, ExitTerms> {
        let terms = ExitTerms {
            policy: policy(),
            policy_text: "ports 53, 80, 443".to_owned(),
            price: price(),
            guests_max: 8,
            phrase: "ritter".to_owned(),
        };
        self.note(format!("{query:?}"), terms)
    }

    fn exit_enable(&self, request: ExitEnableRequest) -> Answer<'_, ExitStatus> {
        if request.phrase.as_deref() != Some("ritter") {
            let problem =
                Problem::new(ErrorCode::ConsentNeeded, "no consent for web+dns is stored");
            return async move { Err(problem) }.boxed();
        }
        async move {
            self.listened.notify_one();
            let _done = self.slow.lock().await;
            self.note("exit enable", exit_status()).await
        }
        .boxed()
    }

    fn exit_disable(&self) -> Answer<'_, ExitStatus> {
        self.note("exit disable", exit_status())
    }

    fn exit_status(&self) -> Answer<'_, ExitStatus> {
        self.note("exit status", exit_status())
    }

    fn exit_guests(&self) -> Answer<'_, ExitGuests> {
        self.note("exit guests", crate::facts::guests())
    }

    fn exit_kick(&self, it: KickRequest) -> Answer<'_, KickReport> {
        let (session, node) = (SESSION, EXIT);
        self.note(format!("{it:?}"), KickReport { session, node })
    }

    fn wallet(&self) -> Answer<'_, WalletView> {
        let view = WalletView {
            address: ADDRESS,
            chain_id: 31337,
            token: ADDRESS,
            tokens: money(1),
            coins: money(2),
            in_contract: money(3),
            in_channels: money(4),
            claimable: money(5),
            beneficiary: Some(ADDRESS),
        };
        self.note("wallet", view)
    }

    fn withdraw(&self, request: WithdrawRequest) -> Answer<'_, TransactionReport> {
        self.note(format!("{request:?}"), transaction("withdrawn", None))
    }

    fn fix_beneficiary(&self, request: BeneficiaryRequest) -> Answer<'_, TransactionReport> {
        self.note(format!("{request:?}"), transaction("fixed", None))
    }

    fn pay_out(&self, request: PayoutRequest) -> Answer<'_, TransactionReport> {
        self.note(format!("{request:?}"), transaction("paid out", None))
    }

    fn claim_all(&self) -> Answer<'_, ClaimReport> {
        self.note("claim all", crate::facts::claims())
    }

    fn channels(&self) -> Answer<'_, ChannelList> {
        let channels = Vec::new();
        self.note("channels", ChannelList { channels })
    }

    fn claim(&self, channel: ChannelId) -> Answer<'_, TransactionReport> {
        self.note(
            format!("claim {channel}"),
            transaction("claimed", Some(channel)),
        )
    }

    fn open(&self, request: ChannelOpenRequest) -> Answer<'_, TransactionReport> {
        self.note(
            format!("{request:?}"),
            transaction("opening", Some(CHANNEL)),
        )
    }

    fn top_up(&self, id: ChannelId, it: ChannelTopUpRequest) -> Answer<'_, TransactionReport> {
        let asked = format!("top up {id} {}", it.amount);
        self.note(asked, transaction("more", Some(id)))
    }

    fn close(
        &self,
        channel: ChannelId,
        request: ChannelCloseRequest,
    ) -> Answer<'_, TransactionReport> {
        self.note(
            format!("close {channel} now {}", request.now),
            transaction("closing", Some(channel)),
        )
    }

    fn earn(&self) -> Answer<'_, Earnings> {
        self.note("earn", crate::facts::earnings())
    }

    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Ledger> {
        self.note(format!("{query:?}"), ledger(&query))
    }

    fn receipts(&self) -> Answer<'_, ReceiptList> {
        let receipts = Vec::new();
        self.note("receipts", ReceiptList { receipts })
    }

    fn receipt(&self, session: SessionId) -> Answer<'_, ReceiptView> {
        let seen = format!("no receipt of {session}");
        async move { Err(Problem::new(ErrorCode::NotFound, seen)) }.boxed()
    }

    fn towers(&self) -> Answer<'_, TowerStatus> {
        let status = TowerStatus {
            work: None,
            kept: Vec::new(),
            wanted: 2,
            held: Vec::new(),
        };
        self.note("towers", status)
    }

    fn routes(&self) -> Answer<'_, RouteList> {
        let routes = RouteList {
            router: None,
            routes: Vec::new(),
            neighbours: Vec::new(),
        };
        self.note("routes", routes)
    }

    fn routers(&self) -> Answer<'_, RouterList> {
        let routers = Vec::new();
        self.note("routers", RouterList { routers })
    }

    fn peers(&self) -> Answer<'_, PeerList> {
        self.note("peers", PeerList { peers: Vec::new() })
    }

    fn net_check(&self) -> Answer<'_, NetCheck> {
        let check = NetCheck {
            checks: Vec::new(),
            listen: Vec::new(),
            external: Vec::new(),
        };
        self.note("net check", check)
    }

    fn net_stats(&self) -> Answer<'_, NetStats> {
        self.note("net stats", crate::facts::net_stats())
    }

    fn events(&self) -> Answer<'_, mpsc::Receiver<NodeEvent>> {
        let (outbox, inbox) = mpsc::channel(STREAM_BOUND);
        *self.events.lock().unwrap() = Some(outbox);
        self.listened.notify_one();
        self.note("events", inbox)
    }

    fn shutdown(&self) -> Answer<'_, ShutdownReport> {
        self.note(
            "shutdown",
            ShutdownReport {
                sessions_closing: 1,
            },
        )
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }
}
