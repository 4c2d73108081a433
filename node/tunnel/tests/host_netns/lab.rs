//! Namespaces of a test, and running things inside them.

use std::fs::File;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

/// A network namespace with a name of its own; removed when dropped.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    pub(crate) fn new(role: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wr-host-{}-{number}-{role}", std::process::id());
        sh(&format!("ip netns add {name}"));
        let it = Self { name };
        // No duplicate address detection: an address is usable as soon as it is set.
        it.sh("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0");
        // No link-local addresses: they come a moment after the device, in the middle of a test.
        it.sh("sysctl -qw net.ipv6.conf.default.addr_gen_mode=1");
        it.sh("sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
        it.sh("ip link set lo up");
        it
    }

    /// Runs a shell line inside and returns what it printed; fails the test if it fails.
    pub(crate) fn sh(&self, line: &str) -> String {
        sh(&format!("ip netns exec {} sh -c \"{line}\"", self.name))
    }

    /// Waits until the kernel has noticed that `device` has a carrier: it touches routes then.
    pub(crate) fn wait_up(&self, device: &str) {
        let up = || {
            self.sh(&format!("ip -o link show {device}"))
                .contains("state UP")
        };
        assert!((0..2000).any(|_| up()), "{device} never came up");
    }

    /// Runs `work` on a thread of its own inside.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let mut result = None;
        self.inside(Box::new(|| result = Some(work())));
        result.expect("the thread ended well")
    }

    /// Runs async `work` inside, on a runtime of its own that stays on that thread.
    pub(crate) fn block_on<T: Send, F: Future<Output = T>>(
        &self,
        work: impl FnOnce() -> F + Send,
    ) -> T {
        let mut result = None;
        self.inside(Box::new(|| {
            complete(Box::pin(async { result = Some(work().await) }));
        }));
        result.expect("the future ended")
    }

    /// One thread and one runtime for all types of work: with their own they were most of what this program compiled.
    fn inside(&self, work: Box<dyn FnOnce() + Send + '_>) {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
                setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                work();
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    /// Everything the host side may change, as text.
    pub(crate) fn snapshot(&self) -> String {
        [
            "nft list ruleset",
            "ip rule",
            "ip -6 rule",
            "ip route show table all",
            "ip -6 route show table all",
            "cd /proc/sys/net && grep -r . ipv4/conf/*/rp_filter ipv4/conf/*/forwarding \
             ipv6/conf/*/forwarding ipv6/conf/*/accept_ra \
             ipv4/conf/*/arp_ignore ipv4/ip_forward",
        ]
        .map(|line| format!("# {line}\n{}", self.sh(line)))
        .concat()
    }
}

fn complete(work: Pin<Box<dyn Future<Output = ()> + '_>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

pub(crate) fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{line}: {} {stderr}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Compares two snapshots and shows only what differs.
pub(crate) fn assert_same(now: &str, before: &str, when: &str) {
    let only = |one: &str, other: &str| -> Vec<String> {
        one.lines()
            .filter(|line| !other.lines().any(|it| it == *line))
            .map(str::to_owned)
            .collect()
    };
    let (added, lost) = (only(now, before), only(before, now));
    assert!(
        now == before,
        "{when}: added {added:#?}, lost {lost:#?} (or only moved)\n{before}\n{now}"
    );
}

/// Tells whether namespaces can be made; if not, says aloud that `test` is skipped.
pub(crate) fn can_run(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("SKIPPED {test}: needs root for network namespaces");
    }
    root
}

/// A consumer behind a router that is also the whole internet, and the far end of its tunnel.
pub(crate) struct ConsumerLab {
    pub(crate) consumer: Namespace,
    pub(crate) router: Namespace,
    pub(crate) far_end: Namespace,
}

/// Addresses of the consumer lab.
pub(crate) mod net {
    pub(crate) const CONSUMER4: &str = "192.0.2.2";
    pub(crate) const CONSUMER6: &str = "2001:db8:1::2";
    pub(crate) const SERVER4: &str = "198.51.100.1";
    pub(crate) const SERVER6: &str = "2001:db8:2::1";
    pub(crate) const TUNNEL4: &str = "10.77.0.2";
    pub(crate) const TUNNEL6: &str = "fd77:7761::2";
}

impl ConsumerLab {
    pub(crate) fn new() -> Self {
        let lab = Self {
            consumer: Namespace::new("c"),
            router: Namespace::new("r"),
            far_end: Namespace::new("t"),
        };
        let (consumer, router) = (&lab.consumer, &lab.router);
        let (c, r, t) = (&consumer.name, &router.name, &lab.far_end.name);
        sh(&format!(
            "ip -n {c} link add eth0 type veth peer name r0 netns {r}"
        ));
        router.sh("ip addr add 192.0.2.1/24 dev r0; ip addr add 2001:db8:1::1/64 dev r0 nodad");
        router.sh("ip addr add 198.51.100.1/32 dev lo; ip addr add 2001:db8:2::1/128 dev lo nodad");
        router.sh("ip link set r0 up");
        consumer
            .sh("ip addr add 192.0.2.2/24 dev eth0; ip addr add 2001:db8:1::2/64 dev eth0 nodad");
        consumer.sh("ip link set eth0 up; ip route add default via 192.0.2.1");
        consumer.sh("ip -6 route add default via 2001:db8:1::1");
        // The tunnel: what goes in comes out in a namespace that nothing else reaches.
        sh(&format!(
            "ip -n {c} link add warren0 type veth peer name t0 netns {t}"
        ));
        lab.far_end.sh("ip link set t0 up arp off");
        consumer.sh("ip link set warren0 up arp off; ip addr add 10.77.0.2/32 dev warren0");
        consumer.sh("ip addr add fd77:7761::2/128 dev warren0 nodad");
        consumer.wait_up("eth0");
        consumer.wait_up("warren0");
        lab
    }
}
