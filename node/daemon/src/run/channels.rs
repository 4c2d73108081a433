//! What the owner does with channels: open, top up, claim, close.

use std::time::Duration;

use warren_overlay::offers::OfferQuery;
use warren_payments::channel::Phase;
use warren_payments::{ChannelView as Held, PaymentsError, Role};
use warren_proto::{Amount, ChannelId, GoodbyeReason, NodeId, Offer, PayoutAddress, TxHash};

use super::Node;
use crate::api::types::{
    ChannelCloseRequest, ChannelOpenRequest, ChannelTopUpRequest, ClaimOfChannel, ClaimReport,
    ConsumerState, Money, TransactionReport,
};
use crate::consumer::ExitName;
use crate::error::{ErrorCode, Problem};
use crate::perform::{self, problem};
use crate::provider::Order;
use crate::route::CLOSE_WINDOW_SECS;

/// How long a caller waits for a deposit to be confirmed; opening goes on without it.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often, and how long apart, a payee that leaves looks whether all is claimed.
const CLAIM_LOOKS: u32 = 60;
const CLAIM_LOOK: Duration = Duration::from_secs(1);
/// The close window of a channel to an account that has no offer.
const WINDOW_SECS: u32 = 86_400;

/// Whom a channel shall pay.
struct Payee {
    account: PayoutAddress,
    window_secs: u32,
    /// Its node, if it is to route.
    router: Option<NodeId>,
}

impl Node {
    pub(super) async fn open_channel(
        &self,
        request: ChannelOpenRequest,
    ) -> Result<TransactionReport, Problem> {
        let purse = self.purse()?;
        let deposit = match &request.deposit {
            Some(text) => self.tokens(text)?,
            None => self.config.consumer.deposit,
        };
        let text = request.payee.trim();
        let payee = if request.router {
            self.find_router(text).await?
        } else {
            self.find_payee(text).await?
        };
        let window = request.close_window_secs.unwrap_or(0);
        let period = Duration::from_secs(window.max(payee.window_secs).into());
        let id = perform::open(purse, payee.account, deposit, period).await?;
        if let Some(node) = payee.router {
            self.routes.meets_router(id, node).await?;
        }
        let usable = purse.payments().wait_usable(id);
        let amount = self.money(deposit);
        let text = match tokio::time::timeout(PATIENCE, usable).await {
            Ok(Ok(())) => format!("opened channel {} with {amount}", id.short()),
            Ok(Err(error)) => return Err(problem(&error)),
            Err(_) => format!(
                "opening channel {} with {amount}; its deposit is not confirmed yet",
                id.short()
            ),
        };
        Ok(report(text, Some(id), None, amount))
    }

    pub(super) fn tokens(&self, text: &str) -> Result<Amount, Problem> {
        let parsed = self.config.token.parse(text);
        parsed.map_err(|error| Problem::new(ErrorCode::BadRequest, error))
    }

    /// A router by its node id, with the terms that it says now.
    async fn find_router(&self, text: &str) -> Result<Payee, Problem> {
        let terms = self.router_terms(text).await?;
        Ok(Payee {
            account: terms.payee,
            // Also over two routers, whatever this one asks (R2).
            window_secs: terms.close_window_secs.max(CLOSE_WINDOW_SECS),
            router: Some(terms.node),
        })
    }

    /// An exit by its node id, or an account by its address.
    async fn find_payee(&self, text: &str) -> Result<Payee, Problem> {
        // Forty digits alone begin a node's id just as well.
        let is_address = text.starts_with("0x");
        if let Some(account) = is_address
            .then(|| text.parse::<PayoutAddress>().ok())
            .flatten()
        {
            let window_secs = WINDOW_SECS;
            return Ok(Payee {
                account,
                window_secs,
                router: None,
            });
        }
        let name = ExitName::parse(text)?;
        let offers = self.offers_on_our_chain().await?;
        let named = name.among(offers.iter().map(|it| it.node))?;
        let found = offers.into_iter().find(|it| Some(it.node) == named);
        let found = found.ok_or_else(|| {
            let seen = format!("no exit with an offer on this chain begins with `{text}`");
            Problem::new(ErrorCode::NoOffer, seen)
        })?;
        Ok(Payee {
            account: found.payee,
            window_secs: found.close_window_secs,
            router: None,
        })
    }

    /// All exits that are known and could be paid, or ask nothing, with and without a free place.
    pub(super) async fn exits_in_reach(&self) -> Result<Vec<NodeId>, Problem> {
        let free_too = OfferQuery {
            free_too: true,
            ..self.on_our_chain()
        };
        let offers = self.known_to(free_too).await?;
        Ok(offers.into_iter().map(|it| it.node).collect())
    }

    /// Those that could be paid: who asks nothing and has no chain has no account either.
    async fn offers_on_our_chain(&self) -> Result<Vec<Offer>, Problem> {
        self.known_to(self.on_our_chain()).await
    }

    fn on_our_chain(&self) -> OfferQuery {
        OfferQuery {
            chain: self.config.chain.as_ref().map(|chain| chain.pinned),
            full_too: true,
            ..OfferQuery::default()
        }
    }

    async fn known_to(&self, query: OfferQuery) -> Result<Vec<Offer>, Problem> {
        let offers = self.overlay.offers(query).await;
        let offers = offers.map_err(|error| Problem::new(ErrorCode::OverlayFailed, error))?;
        Ok(offers.iter().map(|it| it.offer.offer().clone()).collect())
    }

    /// The node that is paid by `account`, by its offer.
    async fn node_of(&self, account: PayoutAddress) -> Result<NodeId, Problem> {
        let offers = self.offers_on_our_chain().await?;
        let found = offers.iter().find(|it| it.payee == account);
        found.map(|it| it.node).ok_or_else(|| {
            let seen = format!("no node with an offer is paid by {account}");
            Problem::new(ErrorCode::NodeUnreachable, seen)
        })
    }

    async fn one(&self, channel: ChannelId) -> Result<Held, Problem> {
        let found = self.held().await?.into_iter().find(|it| it.id == channel);
        found.ok_or_else(|| Problem::new(ErrorCode::NotFound, format!("no channel {channel} here")))
    }

    pub(super) async fn top_up_channel(
        &self,
        id: ChannelId,
        request: ChannelTopUpRequest,
    ) -> Result<TransactionReport, Problem> {
        let amount = self.tokens(&request.amount)?;
        if self.one(id).await?.role != Role::Payer {
            let seen = "this node is paid by that channel; only its payer deposits";
            return Err(Problem::new(ErrorCode::BadRequest, seen));
        }
        let purse = self.purse()?;
        perform::check_funds(purse, amount).await?;
        let tx = purse.payments().top_up(id, amount).await;
        let tx = tx.map_err(|it| problem(&it))?;
        let amount = self.money(amount);
        let text = format!("deposited {amount} more into channel {}", id.short());
        Ok(report(text, Some(id), Some(tx), amount))
    }

    pub(super) async fn claim_channel(&self, id: ChannelId) -> Result<TransactionReport, Problem> {
        let before = self.one(id).await?;
        if before.role != Role::Payee {
            let seen = "this node pays by that channel; only its payee claims";
            return Err(Problem::new(ErrorCode::BadRequest, seen));
        }
        let tx = self.purse()?.payments().claim(id).await;
        let Some(tx) = tx.map_err(|it| problem(&it))? else {
            let seen = format!(
                "channel {} owes nothing beyond what was claimed",
                id.short()
            );
            return Err(Problem::new(ErrorCode::NothingToClaim, seen));
        };
        let owed = before.value.min(before.deposit);
        let amount = self.money(owed.saturating_sub(before.claimed));
        let text = format!("claimed {amount} of channel {}", id.short());
        Ok(report(text, Some(id), Some(tx), amount))
    }

    /// Claims all there is to claim, several channels in one transaction.
    pub(super) async fn claim_channels(&self) -> Result<ClaimReport, Problem> {
        let payments = self.purse()?.payments();
        let before = self.held().await?;
        let done = payments.claim_all().await.map_err(|it| problem(&it))?;
        if done.is_empty() {
            let outlook = payments.claim_outlook().await.map_err(|it| problem(&it))?;
            let seen = match outlook.claims {
                0 => "no channel owes this node anything".to_owned(),
                some => format!("claims of {some} channels are on their way already"),
            };
            return Err(Problem::new(ErrorCode::NothingToClaim, seen));
        }
        let owed = |id| {
            let held = before.iter().find(|it| it.id == id);
            held.map_or(Amount::ZERO, |it| {
                it.value.min(it.deposit).saturating_sub(it.claimed)
            })
        };
        let (mut sum, mut transactions) = (Amount::ZERO, Vec::new());
        let (mut claims, mut failed) = (Vec::new(), None);
        for it in done {
            let amount = owed(it.channel);
            let (transaction, mishap) = match it.result {
                Ok(tx) => {
                    sum = sum.checked_add(amount).unwrap_or(Amount::MAX);
                    (Some(tx), None)
                }
                Err(error) => (None, Some(problem(&error))),
            };
            transactions.extend(transaction.filter(|it| !transactions.contains(it)));
            failed = failed.or_else(|| mishap.clone());
            claims.push(ClaimOfChannel {
                channel: it.channel,
                amount: self.money(amount),
                transaction,
                problem: mishap,
            });
        }
        let good = claims.iter().filter(|it| it.transaction.is_some()).count();
        if let Some(problem) = failed.filter(|_| good == 0) {
            return Err(problem);
        }
        let text = format!(
            "claimed {} of {good} channels in {} transactions",
            self.money(sum),
            transactions.len()
        );
        let text = match claims.len().saturating_sub(good) {
            0 => text,
            bad => format!("{text}; {bad} more could not be claimed"),
        };
        Ok(ClaimReport {
            text,
            amount: self.money(sum),
            transactions,
            claims,
        })
    }

    pub(super) async fn close_channel(
        &self,
        id: ChannelId,
        request: ChannelCloseRequest,
    ) -> Result<TransactionReport, Problem> {
        let held = self.one(id).await?;
        if held.phase == Phase::Closed {
            let seen = format!("channel {} is closed already", id.short());
            return Err(Problem::new(ErrorCode::ChannelUnusable, seen));
        }
        match held.role {
            Role::Payer if request.now => self.close_alone(&held).await,
            Role::Payer => self.close_together(&held).await,
            Role::Payee => self.give_back(&held).await,
        }
    }

    /// Payer: without asking; the payee has its window.
    async fn close_alone(&self, held: &Held) -> Result<TransactionReport, Problem> {
        let tx = self.purse()?.payments().close(held.id, None).await;
        let tx = tx.map_err(|it| problem(&it))?;
        let (rest, hours) = (self.rest(held), held.params.period_secs / 3600);
        let text = format!("closing; {rest} come back in {hours} h unless the payee claims more");
        Ok(report(text, Some(held.id), Some(tx), rest))
    }

    /// Payer: the payee says what it holds and agrees; no window.
    async fn close_together(&self, held: &Held) -> Result<TransactionReport, Problem> {
        let used = self.consumer.view().await?.view(&self.config.token);
        if used.is_some_and(|it| it.state != ConsumerState::Closed && it.channel == Some(held.id)) {
            let seen = "the running session pays from that channel";
            return Err(Problem::new(ErrorCode::AlreadyUp, seen));
        }
        let alone = |problem: Problem| {
            problem.with_next(format!("warren channel close {} --now", held.id.short()))
        };
        let node = match self.routes.neighbour(held.id) {
            Some(it) => it.node,
            None => self.node_of(held.params.payee).await.map_err(alone)?,
        };
        let payments = self.purse()?.payments();
        let answer = perform::ask_payee(&self.overlay, payments, node, held.id, true).await;
        let answer = answer.map_err(alone)?;
        let Some(consent) = answer.consent else {
            let seen = "the payee said what it holds, but did not agree to close";
            return Err(alone(Problem::new(ErrorCode::PaymentRefused, seen)));
        };
        let closed = async {
            payments.payee_shows(answer).await?;
            payments.close(held.id, Some(consent)).await
        };
        let closed: Result<TxHash, PaymentsError> = closed.await;
        let tx = closed.map_err(|it| alone(problem(&it)))?;
        let rest = self.money(held.deposit.saturating_sub(consent.final_amount));
        let text = format!(
            "closed; {rest} came back, {} went to the payee",
            self.money(consent.final_amount)
        );
        Ok(report(text, Some(held.id), Some(tx), rest))
    }

    /// Payee: ends what is paid by it and claims until nothing is left, then gives the rest back.
    async fn give_back(&self, held: &Held) -> Result<TransactionReport, Problem> {
        let payments = self.purse()?.payments();
        let order = Order::PaidEnd(Some(held.id), GoodbyeReason::ChannelClosing);
        self.provider.tell(order).await;
        for _ in 0..CLAIM_LOOKS {
            payments.claim(held.id).await.map_err(|it| problem(&it))?;
            let now = self.one(held.id).await?;
            if now.claimed >= now.value {
                break;
            }
            tokio::time::sleep(CLAIM_LOOK).await; // A claim of before is on its way.
        }
        let held = &self.one(held.id).await?;
        let tx = payments.give_back(held.id).await;
        let tx = tx.map_err(|it| problem(&it))?;
        let rest = self.rest(held);
        let text = format!("closed; {rest} went back to the payer");
        Ok(report(text, Some(held.id), Some(tx), rest))
    }

    fn rest(&self, held: &Held) -> Money {
        self.money(held.deposit.saturating_sub(held.value))
    }
}

pub(super) fn report(
    text: String,
    channel: Option<ChannelId>,
    transaction: Option<TxHash>,
    amount: Money,
) -> TransactionReport {
    TransactionReport {
        text,
        channel,
        transaction,
        amount,
        fee: None,
        fee_at_most: None,
    }
}
