//! Other firewalls and networks of the machine, which keep guests' packets from passing.

use super::*;

const DOCKER: &str =
    "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER";
const MEND: &str = "iptables -I DOCKER-USER -i warren-exit -j ACCEPT; \
    iptables -I DOCKER-USER -o warren-exit -j ACCEPT";

#[test]
fn what_keeps_guests_packets_from_passing_is_told_until_it_is_mended() {
    inside("what_keeps_guests_packets_from_passing", || async {
        let mut bench = Bench::on().await;
        let looks = async |bench: &mut Bench| {
            for _ in 0..5 {
                bench.shell.look().await;
            }
            bench.shell.facts().trouble
        };
        assert_eq!(looks(&mut bench).await, None);
        sh(DOCKER);
        let told = looks(&mut bench).await.unwrap();
        assert!(told.is(ErrorCode::ForwardDropped), "{told}");
        assert_eq!(told.next, MEND);
        sh(MEND);
        assert_eq!(looks(&mut bench).await, None);
        sh("ip addr add 10.77.5.9/24 dev eth0");
        let told = looks(&mut bench).await.unwrap();
        assert!(told.is(ErrorCode::InnerTaken), "{told}");
        sh("ip addr del 10.77.5.9/24 dev eth0");
        assert_eq!(looks(&mut bench).await, None);

        // One that stands before the exit keeps it off.
        bench.shell.disable().await.unwrap();
        sh("iptables -F DOCKER-USER");
        let now = bench.shell.parts.clock.now();
        let refused = bench.shell.enable(enable(now)).await.unwrap_err();
        assert!(refused.is(ErrorCode::ForwardDropped), "{refused}");
        assert!(!holds("ip link show warren-exit") && !holds("nft list table inet warren_exit"));
        sh(MEND);
        bench.shell.enable(enable(now)).await.unwrap();
    });
}
