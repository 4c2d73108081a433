//! `/v1/wallet`, `/v1/channels`, `/v1/earn`, `/v1/ledger`: money.

use serde::{Deserialize, Serialize};
use warren_proto::{ChannelId, NodeId, PayoutAddress, SessionId, TxHash, UnixTime};

use super::{Money, Timestamp};
use crate::error::Problem;

/// Answer to `GET /v1/wallet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletView {
    /// Where to send money to.
    pub address: PayoutAddress,
    /// EIP-155 id.
    pub chain_id: u64,
    /// The token that pays.
    pub token: PayoutAddress,
    /// Tokens in the wallet.
    pub tokens: Money,
    /// The chain's own coin in the wallet, for gas.
    pub coins: Money,
    /// Tokens in the contract, free for new channels or to withdraw.
    pub in_contract: Money,
    /// Tokens locked in channels that this node pays from.
    pub in_channels: Money,
    /// Earned, not yet claimed.
    pub claimable: Money,
    /// The only account that `in_contract` can go to, as the chain has it. `None` while that is free.
    #[serde(default)]
    pub beneficiary: Option<PayoutAddress>,
}

/// Body of `POST /v1/wallet/withdraw`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawRequest {
    /// To whom. Left out: the beneficiary that the chain has, else `wallet.beneficiary`, else the wallet itself.
    #[serde(default)]
    pub to: Option<PayoutAddress>,
    /// Decimal in token units, or `all`.
    pub amount: String,
    /// Only says what it would cost.
    #[serde(default)]
    pub dry_run: bool,
}

/// Body of `POST /v1/wallet/beneficiary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeneficiaryRequest {
    /// The only account that the pot can go to from then on.
    pub to: PayoutAddress,
    /// Whose pot. Left out: this wallet's. Another's only if this wallet is its beneficiary.
    #[serde(default)]
    pub owner: Option<PayoutAddress>,
    /// `to` once more: it cannot be undone. Not needed for a dry run.
    #[serde(default)]
    pub confirm: Option<PayoutAddress>,
    /// Only says what it means and costs.
    #[serde(default)]
    pub dry_run: bool,
}

/// Body of `POST /v1/wallet/payout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayoutRequest {
    /// Whose pot. Left out: this wallet's.
    #[serde(default)]
    pub owner: Option<PayoutAddress>,
    /// Only says what it would cost.
    #[serde(default)]
    pub dry_run: bool,
}

/// Body of `POST /v1/channels`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelOpenRequest {
    /// An exit's node id, or the beginning of one; or the account to be paid, 20 bytes in hex.
    pub payee: String,
    /// Decimal in token units. Left out: `consumer.deposit`.
    pub deposit: Option<String>,
    /// The close window, in seconds. Left out: what the exit's offer asks for, else a day.
    pub close_window_secs: Option<u32>,
    /// Whether `payee` is a router's node id: it is asked for its terms, and pays any exit from then on.
    #[serde(default)]
    pub router: bool,
}

/// Body of `POST /v1/channels/{id}/topup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelTopUpRequest {
    /// Decimal in token units.
    pub amount: String,
}

/// Body of `POST /v1/channels/{id}/close`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelCloseRequest {
    /// Payer: without the payee's consent; the rest comes back after the close window.
    #[serde(default)]
    pub now: bool,
}

/// Which side of a channel this node is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelRole {
    /// It pays.
    Payer,
    /// It is paid.
    Payee,
}

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// Its deposit is not confirmed yet.
    Opening,
    /// Usable.
    Open,
    /// The payer asked for its money back; the window runs.
    Closing,
    /// Over.
    Closed,
}

/// Answer to `GET /v1/channels`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelList {
    /// All of them, newest first.
    pub channels: Vec<ChannelView>,
}

/// One channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// The channel.
    pub id: ChannelId,
    /// This node's side.
    pub role: ChannelRole,
    /// Where it stands.
    pub state: ChannelState,
    /// Who pays.
    pub payer: PayoutAddress,
    /// Who is paid.
    pub payee: PayoutAddress,
    /// The other side's node. `None` if unknown.
    pub peer: Option<NodeId>,
    /// The router that it pays, if it was opened to pay by routes.
    pub router: Option<NodeId>,
    /// Locked on chain.
    pub deposit: Money,
    /// Paid so far: what the payee can claim in all.
    pub paid: Money,
    /// Claimed on chain so far.
    pub claimed: Money,
    /// `deposit` − `paid`.
    pub left: Money,
    /// Close window.
    pub close_window_secs: u32,
    /// When the payer can take the rest. `None` unless closing.
    pub closes_at: Option<Timestamp>,
}

/// Answer to everything that sends a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionReport {
    /// What was done, for people.
    pub text: String,
    /// The channel. `None` if it is not about one.
    pub channel: Option<ChannelId>,
    /// The transaction. `None` if none was needed.
    pub transaction: Option<TxHash>,
    /// What moved.
    pub amount: Money,
    /// What it costs in the chain's coin, as gas costs now. `None` unless it was only asked for.
    pub fee: Option<Money>,
    /// What it can cost at most, whatever gas costs until it is done (`chain.fee_cap_gwei`). `None` like `fee`.
    #[serde(default)]
    pub fee_at_most: Option<Money>,
}

/// Answer to `POST /v1/claim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimReport {
    /// What was done, for people.
    pub text: String,
    /// What was claimed.
    pub amount: Money,
    /// The transactions, each once.
    pub transactions: Vec<TxHash>,
    /// Channel by channel.
    pub claims: Vec<ClaimOfChannel>,
}

/// What came of one channel's claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimOfChannel {
    /// The channel.
    pub channel: ChannelId,
    /// What there was to claim.
    pub amount: Money,
    /// The transaction, which several channels may share. `None` if it was not claimed.
    pub transaction: Option<TxHash>,
    /// Why it was not claimed. `None` if it was.
    pub problem: Option<Problem>,
}

/// Answer to `GET /v1/earn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earnings {
    /// Earned since the store was made.
    pub earned: Money,
    /// Of it, claimed on chain.
    pub claimed: Money,
    /// Of it, not yet claimed.
    pub claimable: Money,
    /// Of it, passed on to exits as a router.
    pub passed_on: Money,
    /// What claiming all now costs in gas. `None` if the chain does not say.
    pub claim_fee: Option<Money>,
    /// Claims to make: channels with something to claim.
    #[serde(default)]
    pub claims: u32,
    /// Of them, those that are made without being asked for: worth their gas (`chain.claim_factor`), or in danger.
    #[serde(default)]
    pub claims_due: u32,
    /// Transactions that all of them take: up to 16 claims share one, and its gas.
    #[serde(default)]
    pub claim_transactions: u32,
    /// Guests served since the daemon began.
    pub sessions: u64,
    /// Channels with something to claim.
    pub channels: Vec<ChannelView>,
}

/// Query of `GET /v1/ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerQuery {
    /// From this time on.
    pub since: Option<Timestamp>,
    /// At most so many entries, newest kept; left out: 1000; never more than [`MOST_ENTRIES`].
    pub limit: Option<u32>,
    /// Only entries with a lower number than this: the first one of an answer asks for what came before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// Entries of a ledger in one answer unless it is said how many. Our choice.
const ENTRIES: u32 = 1000;
/// The most in one answer, some 5 MB: a program reads no answer of more than 16 MiB. Our choice.
pub const MOST_ENTRIES: u32 = 10_000;

impl LedgerQuery {
    /// Those of `entries`, oldest first, that it asks for; `of` says an entry's number and time.
    pub fn pick<'a, T>(&self, entries: &'a [T], of: impl Fn(&T) -> (u64, UnixTime)) -> Vec<&'a T> {
        let limit = self.limit.unwrap_or(ENTRIES).min(MOST_ENTRIES);
        let since = self.since.map_or(UnixTime::default(), |it| it.0);
        let is_asked_for = |it: &&T| {
            let (number, at) = of(it);
            at >= since && self.before.is_none_or(|before| number < before)
        };
        let newest = entries.iter().rev().filter(is_asked_for);
        let mut picked: Vec<_> = newest.take(limit as usize).collect();
        picked.reverse();
        picked
    }
}

/// What an entry of the ledger records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// Tokens went into the contract or a channel.
    Deposit,
    /// A session was paid.
    Paid,
    /// A session paid us.
    Earned,
    /// A claim reached the chain.
    Claimed,
    /// A payee left unclaimed what it was paid.
    Forgone,
    /// What this node was paid and did not claim before the channel ended.
    Lost,
    /// What a channel had left came back.
    Reclaimed,
    /// Tokens left the contract.
    Withdrawn,
    /// Gas.
    Fee,
}

/// Answer to `GET /v1/ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Oldest first.
    pub entries: Vec<LedgerEntry>,
    /// Sum of what was paid to others for sessions.
    pub paid: Money,
    /// Sum of what others paid for sessions.
    pub earned: Money,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Its number, without gaps from 0.
    pub number: u64,
    /// The account it left: wallet, pot, deposited, spent, customers, claimable, coin, gas.
    pub from: String,
    /// The account it went to.
    pub to: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: LedgerKind,
    /// How much.
    pub amount: Money,
    /// The channel. `None` if it is not about one.
    pub channel: Option<ChannelId>,
    /// The session. `None` if it is not about one.
    pub session: Option<SessionId>,
    /// The other side's node. `None` if unknown.
    pub peer: Option<NodeId>,
    /// The transaction. `None` off chain.
    pub transaction: Option<TxHash>,
}
