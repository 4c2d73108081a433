//! What each call costs, within bounds: a change of the contract that makes it dearer shows here.

use warren_payments::calls::Call;
use warren_proto::Amount;

use crate::world::{DEPOSIT, HOUR, Words, World, wei};

/// Gas used must lie at most this much above or below the figure, in percent.
const SLACK: u64 = 3;

struct Bill<'a> {
    world: &'a World,
    lines: Vec<(&'static str, u64, u64)>,
}

impl Bill<'_> {
    async fn payer(&mut self, what: &'static str, expected: u64, call: Call) {
        let used = self
            .world
            .send(&self.world.payer, call)
            .await
            .unwrap()
            .gas_used;
        self.lines.push((what, expected, used));
    }

    async fn payee(&mut self, what: &'static str, expected: u64, call: Call) {
        let used = self
            .world
            .send(&self.world.payee, call)
            .await
            .unwrap()
            .gas_used;
        self.lines.push((what, expected, used));
    }
}

#[tokio::test]
async fn every_call_costs_what_it_did() {
    let world = &World::dev();
    let mut bill = Bill {
        world,
        lines: Vec::new(),
    };
    let (a, b, c, d) = (
        world.params(1),
        world.params(2),
        world.params(3),
        world.params(4),
    );
    bill.payer(
        "approve",
        46_000,
        Call::Approve {
            amount: Amount::MAX,
        },
    )
    .await;
    bill.payer("deposit, first", 85_000, Call::Deposit { amount: DEPOSIT })
        .await;
    bill.payer("deposit, again", 51_000, Call::Deposit { amount: DEPOSIT })
        .await;
    bill.payer(
        "open",
        73_000,
        Call::Open {
            params: a,
            amount: wei(900_000),
        },
    )
    .await;
    let amount = wei(100_000);
    bill.payer(
        "open from pot",
        55_200,
        Call::OpenFromBalance { params: b, amount },
    )
    .await;
    bill.payer(
        "open from pot",
        55_200,
        Call::OpenFromBalance { params: c, amount },
    )
    .await;
    bill.payer(
        "open from pot",
        55_200,
        Call::OpenFromBalance { params: d, amount },
    )
    .await;
    bill.payer(
        "top up",
        53_500,
        Call::TopUp {
            params: a,
            amount: wei(1),
        },
    )
    .await;
    bill.payer(
        "top up from pot",
        36_900,
        Call::TopUpFromBalance {
            params: a,
            amount: wei(1),
        },
    )
    .await;

    let claim = |base, known: &[(Words, u32)]| Call::Claim(world.claim(&a, wei(base), known));
    bill.payee("claim, payee's first", 60_500, claim(1, &[]))
        .await;
    bill.payee("claim", 43_500, claim(2, &[])).await;
    for (k, expected) in [(1, 49_500), (16, 50_800), (100, 58_000), (256, 72_500)] {
        let words = Words::new(u8::try_from(k % 251).unwrap(), 256, 1);
        bill.payee(
            "claim with words",
            expected,
            claim(1000 + u64::from(k), &[(words, k)]),
        )
        .await;
    }
    let words: Vec<(Words, u32)> = (1..=4).map(|it| (Words::new(it, 256, 1), 256)).collect();
    bill.payee("claim, 4 locks of 256", 158_000, claim(100_000, &words))
        .await;

    let until = world.now().await.plus(HOUR);
    let signature = world
        .payee
        .sign_payee_close(&world.pins, &b.id(&world.pins), wei(9), until);
    let coop = Call::CoopClose {
        params: b,
        final_amount: wei(9),
        not_after: until,
        signature,
    };
    bill.payer("coop close", 50_000, coop).await;
    bill.payee("close by payee", 36_900, Call::CloseByPayee { params: c })
        .await;
    bill.payer("start close", 30_000, Call::StartClose { params: d })
        .await;
    world.advance(25 * HOUR).await;
    bill.payer("finish close", 36_900, Call::FinishClose { params: d })
        .await;
    let to = world.other.address();
    bill.payee("withdraw", 43_500, Call::Withdraw { to, amount: wei(9) })
        .await;

    let off = |expected: u64, used: u64| expected.abs_diff(used) * 100 > expected * SLACK;
    let wrong: Vec<_> = bill
        .lines
        .iter()
        .filter(|(_, expected, used)| off(*expected, *used))
        .collect();
    assert!(
        wrong.is_empty(),
        "(call, expected, used): {wrong:#?}\nall: {:#?}",
        bill.lines
    );
}
