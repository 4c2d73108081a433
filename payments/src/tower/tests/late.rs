//! Towers that come late, or whose claims fail.

use super::*;

/// The clock of the chain says what a lock's words are worth; one that is over would undo the others' claim.
#[test]
fn words_of_a_lock_that_is_over_are_no_part_of_a_claim() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 1, 40, 5000);
    let put = sealed(&it, 5);
    let open = |now| open(&chain(), &it.0, (5, now), &put.sealed).unwrap();
    let (claim, value) = open(4879);
    assert_eq!((claim.reveals.len(), value), (1, wei(40)));
    // It would be over when the next block comes, or the one after it.
    let (claim, value) = open(4880);
    assert_eq!((claim.reveals.len(), value), (0, wei(0)));
}

/// Whoever sees to it that its own claims are undone burns no more of the tower's coin than whoever has them paid.
#[test]
fn a_claim_that_was_undone_counts_as_one_that_was_made() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 1, 40, 0);
    let mut world = World::new(TowerRules::default());
    world.puts(owner(1), sealed(&it, 1));
    world.closes(it.0, 0);
    let mut made = 0;
    for number in 2..80 {
        for job in world.jobs_at(after(10 * number)) {
            made += 1;
            world.hear(TowerEvent::Undone { key: job.key });
        }
        world.puts(owner(1), sealed(&it, number));
    }
    assert_eq!(made, 64);
}

#[test]
fn a_claim_that_goes_on_failing_is_tried_less_and_less_often_but_never_rarely() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 1, 40, 0);
    let mut world = World::new(TowerRules::default());
    world.puts(owner(1), sealed(&it, 5));
    world.closes(it.0, 12 * HOUR);
    let (mut tries, mut last, mut longest) = (0, 0, 0);
    for secs in (HOUR..4 * HOUR).step_by(10) {
        for job in world.jobs_at(after(secs)) {
            longest = if tries > 0 {
                (secs - last).max(longest)
            } else {
                0
            };
            (tries, last) = (tries + 1, secs);
            world.hear(TowerEvent::Failed { key: job.key });
        }
    }
    assert!((36..48).contains(&tries), "{tries} in three hours");
    assert_eq!(longest, 300);
}

/// It may be a lie: it makes one claim early, and leaves nothing behind for puts that come later.
#[test]
fn a_closing_that_is_only_told_of_is_acted_on_once_and_not_remembered() {
    let wallet = Wallet::generate().unwrap();
    let (kept, other) = (evidence(&wallet, 1, 40, 0), evidence(&wallet, 2, 40, 0));
    let mut world = World::new(TowerRules::default());
    world.puts(owner(1), sealed(&kept, 5));
    let feared = |channel| {
        let closes_at = NOON.as_secs() + HOUR;
        TowerEvent::Feared(Closing { channel, closes_at })
    };
    let step = world.hear(feared(kept.0));
    assert!(matches!(step.changes.as_slice(), [Change::Put(_, Some(_))]));
    assert_eq!(world.hear(feared(kept.0)), TowerStep::default());
    assert_eq!(world.hear(feared(other.0)), TowerStep::default());
    world.puts(owner(2), sealed(&other, 5));
    assert_eq!(world.jobs_at(after(HOUR / 4 - 1)), vec![]);
    let jobs = world.jobs_at(after(HOUR / 4));
    assert_eq!(
        jobs.iter().map(|it| it.channel).collect::<Vec<_>>(),
        [kept.0]
    );
    world.hear(TowerEvent::Agreed);
    let step = world.hear(feared(other.0));
    assert_eq!(step.changes.len(), 1, "this one has a put by now");
}
