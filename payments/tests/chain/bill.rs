//! The bill: one of every call, on the chain in this process, with numbers as long as real ones.

use warren_payments::calls::Call;
use warren_payments::wallet::WalletKey;
use warren_proto::{Amount, ChannelParams};

use crate::world::{HOUR, Words, World};

/// A call and the gas of its whole transaction, the first 21 000 included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) what: &'static str,
    pub(crate) gas: u64,
}

/// What a call may cost at most, whatever else changes.
pub(crate) const LIMITS: &[(&str, u64)] = &[
    ("open from the pot", 55_000),
    ("claim with 256 words", 71_000),
    ("close, both agreed", 47_000),
    ("claimMany of 16", 292_000),
];

/// One token of 18 digits: amounts fill eight or nine bytes, as they do in life.
fn tokens(count: u64) -> Amount {
    Amount::from_wei(u128::from(count) * 1_000_000_000_000_000_001).expect("a small amount")
}

fn params(world: &World, salt: u64) -> ChannelParams {
    // A random salt has no zero bytes, which would be cheap.
    world.params(0x0101_0101_0101_0101 * salt)
}

struct Bill<'a> {
    world: &'a World,
    lines: Vec<Line>,
}

impl Bill<'_> {
    async fn add(&mut self, what: &'static str, who: &WalletKey, call: Call) {
        let gas = self.world.send(who, call).await.expect(what).gas_used;
        self.lines.push(Line { what, gas });
    }

    /// Money in, and channels opened and filled.
    async fn open(&mut self) {
        let world = self.world;
        let (payer, amount) = (&world.payer, tokens(1));
        let approve = Call::Approve {
            amount: Amount::MAX,
        };
        self.add("approve, once", payer, approve).await;
        let deposit = Call::Deposit {
            amount: tokens(100),
        };
        self.add("deposit to the pot, first", payer, deposit.clone())
            .await;
        self.add("deposit to the pot, again", payer, deposit).await;
        let a = params(world, 1);
        let big = tokens(50);
        self.add(
            "open by transfer",
            payer,
            Call::Open {
                params: a,
                amount: big,
            },
        )
        .await;
        for salt in 2..=20 {
            let params = params(world, salt);
            let call = Call::OpenFromBalance { params, amount };
            if salt == 2 {
                self.add("open from the pot", payer, call).await;
            } else {
                world.send(payer, call).await.expect("opens");
            }
        }
        let call = Call::TopUp { params: a, amount };
        self.add("top up by transfer", payer, call).await;
        let call = Call::TopUpFromBalance { params: a, amount };
        self.add("top up from the pot", payer, call).await;
    }

    async fn claim(&mut self) {
        let world = self.world;
        let (payee, a) = (&world.payee, params(world, 1));
        let claim =
            |base, known: &[(Words, u32)]| Call::Claim(world.claim(&a, tokens(base), known));
        self.add("claim of a base, the payee's first", payee, claim(1, &[]))
            .await;
        self.add("claim of a base", payee, claim(2, &[])).await;
        let counts = [
            (1, "claim with 1 word"),
            (16, "claim with 16 words"),
            (64, "claim with 64 words"),
            (100, "claim with 100 words"),
            (256, "claim with 256 words"),
        ];
        for (place, (k, what)) in (3..).zip(counts) {
            let words = Words::new(u8::try_from(place).expect("few"), 256, 1_000_000_007);
            self.add(what, payee, claim(place, &[(words, k)])).await;
        }
        for (count, base, what) in [
            (4, 10, "claim, 4 locks of 256 words"),
            (16, 11, "claim, 16 locks of 256 words"),
        ] {
            let locks: Vec<_> = (0..count)
                .map(|it| (Words::new(it, 256, 1_000_000_007), 256))
                .collect();
            self.add(what, payee, claim(base, &locks)).await;
        }
        let all: Vec<_> = (5..=20)
            .map(|salt| {
                let base = Amount::from_wei(5_000_000_000_000_001).expect("a small amount");
                world.claim(&params(world, salt), base, &[])
            })
            .collect();
        self.add("claimMany of 16", payee, Call::ClaimMany(all))
            .await;
    }

    async fn close(&mut self) {
        let world = self.world;
        let (payer, payee) = (&world.payer, &world.payee);
        let not_after = world.now().await.plus(HOUR);
        let b = params(world, 2);
        let final_amount = Amount::from_wei(500_000_000_000_000_001).expect("a small amount");
        let signature =
            payee.sign_payee_close(&world.pins, &b.id(&world.pins), final_amount, not_after);
        let call = Call::CoopClose {
            params: b,
            final_amount,
            not_after,
            signature,
        };
        self.add("close, both agreed", payer, call).await;
        let c = params(world, 3);
        let call = Call::CloseByPayee { params: c };
        self.add("close by the payee", payee, call).await;
        let d = params(world, 4);
        self.add("start to close", payer, Call::StartClose { params: d })
            .await;
        world.advance(25 * HOUR).await;
        self.add("finish a close", payer, Call::FinishClose { params: d })
            .await;
    }

    async fn withdraw(&mut self) {
        let world = self.world;
        let (payee, to) = (&world.payee, world.other.address());
        let amount = tokens(1);
        self.add("withdraw", payee, Call::Withdraw { to, amount })
            .await;
        let owner = payee.address();
        let call = Call::SetBeneficiary { owner, to };
        self.add("fix a beneficiary, once", payee, call).await;
        self.add("pay out to it", payee, Call::PayOut { owner })
            .await;
    }
}

/// Makes one of every call and says what each cost.
pub(crate) async fn bill(world: &World) -> Vec<Line> {
    let mut bill = Bill {
        world,
        lines: Vec::new(),
    };
    bill.open().await;
    bill.claim().await;
    bill.close().await;
    bill.withdraw().await;
    bill.lines
}
