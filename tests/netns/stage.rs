//! What every story begins with: a world, its cast, exits that sell, a consumer with money.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use warren::demo::capture::Capture;
use warren::demo::cast::Cast;
use warren::demo::node::Node;
use warren::demo::plan::{Asks, Plan, WEB_PORT};
use warren::demo::story;
use warren::demo::wait;
use warren::demo::web::Download;
use warren::demo::world::World;
use warren_daemon::api::types::{
    ChannelList, ChannelView, ConsumerView, ExitList, ReceiptList, ReceiptView, Status,
};
use warren_proto::{Amount, ChannelId};

/// How long one step may take, on a busy machine.
pub(crate) const STEP: Duration = Duration::from_secs(90);

/// A standing world with everyone in it. The cast goes first when it is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) cast: Cast,
    pub(crate) world: World,
}

impl Stage {
    /// Builds it; `None`, aloud, where it cannot be built.
    pub(crate) fn set(label: &str, exits: &[Asks]) -> Option<Self> {
        if !is_possible() {
            return None;
        }
        let world = World::build(label, Plan::with_exits(exits.to_vec())).expect("a world");
        let mut cast = Cast::assemble(&world, &program()).expect("a cast");
        for (index, _) in exits.iter().enumerate().filter(|(_, it)| it.sells) {
            cast.open_exit(index).expect("an exit that sells");
        }
        cast.consumer.start().expect("a consumer");
        let known = |it: &ExitList| {
            if it.exits.len() == exits.iter().filter(|it| it.sells).count() {
                Ok(())
            } else {
                Err(format!("{} offers", it.exits.len()))
            }
        };
        let all = ["exits", "--refresh"];
        cast.consumer
            .wait_for("every exit", STEP, &all, known)
            .expect("offers");
        cast.fund_consumer("10").expect("money");
        Some(Self { cast, world })
    }

    /// Brings the tunnel up.
    pub(crate) fn up(&self, args: &[&str]) -> ConsumerView {
        story::up(&self.cast.consumer, args).expect("a tunnel")
    }

    /// Which exit of the plan the consumer bought from.
    pub(crate) fn seller(&self, view: &ConsumerView) -> usize {
        let is_it = |exit: &Node| {
            let status = exit.ask::<Status>(&["status"]);
            status.is_ok_and(|it| it.node == view.exit)
        };
        self.cast.exits.iter().position(is_it).expect("one of ours")
    }

    /// The number of the newest offer of an exit that the consumer knows.
    pub(crate) fn offer_of(&self, index: usize) -> u64 {
        let exit = self.cast.exits[index].ask::<Status>(&["status"]);
        let (exit, known) = (exit.expect("its status"), self.known());
        let offer = known.exits.iter().find(|it| it.node == exit.node);
        offer.map_or(0, |it| it.seq)
    }

    /// Waits until the consumer knows a newer one: an exit that began anew does not sell by older ones.
    pub(crate) fn offers_anew(&self, index: usize, old: u64) {
        wait::until("the offer of an exit that is back", STEP, || {
            match self.offer_of(index) {
                it if it > old => Ok(()),
                it => Err(format!("offer {it}")),
            }
        })
        .expect("a new offer");
    }

    fn known(&self) -> ExitList {
        let refresh = ["exits", "--refresh"];
        self.cast.consumer.ask(&refresh).expect("offers")
    }

    /// Downloads so many bytes at the consumer, by IPv4.
    pub(crate) fn download(&self, bytes: u64, patience_secs: u64) -> Option<Download> {
        let server = format!("{}:{WEB_PORT}", self.world.plan().web.public_v4());
        let (path, patience) = (format!("/body/7/{bytes}"), patience_secs.to_string());
        let args = ["demo", "fetch", &server, &path, "--patience", &patience];
        self.cast.consumer.part(&args).ok()
    }

    /// Starts to write down what passes the consumer's home router.
    pub(crate) fn capture(&self) -> Capture {
        let router = self.world.router(&self.world.plan().consumer);
        Capture::start(&router, "lan", self.world.dir(), "uplink").expect("a capture")
    }

    /// The consumer's session now.
    pub(crate) fn session(&self) -> Option<ConsumerView> {
        self.cast
            .consumer
            .ask::<Status>(&["status"])
            .expect("a status")
            .consumer
    }

    /// Waits until the consumer's session is as wanted.
    pub(crate) fn session_when(
        &mut self,
        what: &str,
        wanted: impl Fn(&ConsumerView) -> bool,
    ) -> ConsumerView {
        let looked = |it: &Status| match &it.consumer {
            Some(view) if wanted(view) => Ok(view.clone()),
            other => Err(format!("{other:?}")),
        };
        self.cast
            .consumer
            .wait_for(what, STEP, &["status"], looked)
            .expect(what)
    }

    /// A channel as the exit of this index knows it.
    pub(crate) fn held_by_exit(&self, index: usize, channel: ChannelId) -> ChannelView {
        let list: ChannelList = self.cast.exits[index]
            .ask(&["channel", "ls"])
            .expect("channels");
        list.channels
            .into_iter()
            .find(|it| it.id == channel)
            .expect("the channel")
    }

    /// A channel as the consumer knows it.
    pub(crate) fn held_by_consumer(&self, channel: ChannelId) -> ChannelView {
        let list: ChannelList = self
            .cast
            .consumer
            .ask(&["channel", "ls"])
            .expect("channels");
        list.channels
            .into_iter()
            .find(|it| it.id == channel)
            .expect("the channel")
    }

    /// Waits until the exit holds every word that the consumer revealed; returns what they are worth.
    pub(crate) fn held_when_calm(&self, index: usize, channel: ChannelId) -> Amount {
        wait::until("both sides to agree on what is paid", STEP, || {
            let exit = self.held_by_exit(index, channel).paid.base_units;
            let consumer = self.held_by_consumer(channel).paid.base_units;
            let agreed = exit == consumer && exit > Amount::ZERO;
            if agreed {
                Ok(exit)
            } else {
                Err(format!("exit {exit}, consumer {consumer}"))
            }
        })
        .expect("an agreement")
    }

    /// Waits until the contract paid exactly this much on a channel.
    pub(crate) fn claimed_when(&self, channel: ChannelId, wanted: Amount) {
        wait::until("the claim to be on chain", STEP, || {
            let books = self.cast.books().map_err(|it| it.to_string())?;
            assert!(books.conserved(), "{books:?}");
            let claimed = warren::demo::books::claimed_on(&books, channel);
            assert!(
                claimed <= wanted,
                "claimed {claimed}, but only {wanted} was paid"
            );
            if claimed == wanted {
                Ok(())
            } else {
                Err(format!("{claimed} of {wanted}"))
            }
        })
        .expect("the claim");
    }

    /// Ends everyone, takes the world down, and demands that nothing is left.
    pub(crate) fn strike(self) {
        drop(self.cast);
        let remains = self.world.tear_down();
        assert!(remains.is_empty(), "{:?}", remains.in_words());
    }
}

/// The receipts that a node keeps, newest first, once there are so many and both sides signed each.
pub(crate) fn whole_receipts(of: &Node, many: usize) -> Vec<ReceiptView> {
    wait::until("the receipts to be signed by both", STEP, || {
        let list: ReceiptList = of.ask(&["receipt", "ls"]).map_err(|it| it.to_string())?;
        let whole = list.receipts.iter().all(|it| it.signed_by.len() == 2);
        if whole && list.receipts.len() == many {
            let show = |it: &ReceiptView| of.ask(&["receipt", "show", &it.session.to_string()]);
            let shown: Result<Vec<_>, _> = list.receipts.iter().map(show).collect();
            shown.map_err(|it| it.to_string())
        } else {
            Err(format!("{:?}", list.receipts))
        }
    })
    .expect("whole receipts")
}

/// What a third party says of a receipt, with no daemon and nothing but the file: its number, and its document.
pub(crate) fn verified_alone(file: &Path, home: &Path) -> (i32, Value) {
    let output = Command::new(program())
        .args(["--json", "receipt", "verify"])
        .arg(file)
        .env("WARREN_HOME", home.join("none"))
        .output()
        .expect("it runs");
    let said = if output.stdout.is_empty() {
        &output.stderr
    } else {
        &output.stdout
    };
    let code = output.status.code().expect("it ends");
    (code, serde_json::from_slice(said).expect("a document"))
}

/// Whether a world can be built here; says aloud why not.
pub(crate) fn is_possible() -> bool {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|it| it.stdout == b"0\n");
    for (is_there, why) in [
        (is_root, "network namespaces need root"),
        (is_installed("ip"), "iproute2 is not installed"),
        (is_installed("nft"), "nftables is not installed"),
        (is_installed("tcpdump"), "tcpdump is not installed"),
        (is_installed("dnsmasq"), "dnsmasq is not installed"),
        (
            std::path::Path::new("/dev/net/tun").exists(),
            "/dev/net/tun is missing",
        ),
    ] {
        if !is_there {
            println!("SKIPPED: {why}");
            return false;
        }
    }
    true
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("-V").output().is_ok_and(|_| true)
        || Command::new(program).arg("--version").output().is_ok()
}

/// The `warren` beside this test: built by the same command, into the same folder.
pub(crate) fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("WARREN_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().expect("a test has a file");
    let folder = test
        .parent()
        .and_then(|it| it.parent())
        .expect("target/debug/deps");
    let program = folder.join("warren");
    assert!(
        program.exists(),
        "{} is missing: cargo build --workspace --bins",
        program.display()
    );
    program
}

/// Two exits in one country, one of them cheaper, that ask nothing for time.
pub(crate) fn two_exits() -> Vec<Asks> {
    vec![
        Asks::new("DE", "Leipzig", "0.002"),
        Asks::new("DE", "Bremen", "0.003"),
    ]
}

/// One exit that asks nothing for time.
pub(crate) fn one_exit() -> Vec<Asks> {
    vec![Asks::new("NL", "Utrecht", "0.002")]
}
