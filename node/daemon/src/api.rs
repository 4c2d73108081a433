//! The local door: HTTP on a unix socket, for the command line, the tests and the dashboard.
//!
//! [`types`] is what is said, [`NodeControl`] is who answers, [`server`] lets in, [`Client`] asks.
//! Nothing here decides anything: a handler checks, calls, and writes down the answer.

mod client;
mod guard;
mod handlers;
pub mod server;
pub mod types;

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use warren_proto::{ChannelId, SessionId};

pub use client::{Client, ClientError, LineStream};
pub use server::{ApiServer, ServeError};

use crate::error::Problem;
use types::{
    BeneficiaryRequest, ChannelCloseRequest, ChannelList, ChannelOpenRequest, ChannelTopUpRequest,
    ClaimReport, DownReport, DownRequest, Earnings, ExitCheck, ExitEnableRequest, ExitGuests,
    ExitList, ExitQuery, ExitShown, ExitStatus, ExitTerms, ExitTermsQuery, ExitsQuery, KickReport,
    KickRequest, Ledger, LedgerQuery, NetCheck, NetStats, NodeEvent, PayoutRequest, PeerList,
    ReceiptList, ReceiptView, RouteList, RouterList, ShutdownReport, Status, TowerStatus,
    TransactionReport, UpEvent, UpRequest, WalletView, WithdrawRequest,
};

/// How many lines of a stream wait for a slow reader before the writer waits too.
pub const STREAM_BOUND: usize = 64;

/// What a call to the node gives.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Problem>>;

/// The node as its owner sees it: one method for each thing the API can ask.
///
/// The daemon's role loops are the product's implementation; the API's tests have their own.
/// A dropped future must not leave anything half done: work that must go on belongs to a task. `up` and
/// `exit_enable` are never dropped half way, however the connection ends.
pub trait NodeControl: Send + Sync + 'static {
    /// The node at a glance.
    fn status(&self) -> Answer<'_, Status>;
    /// The market.
    fn exits(&self, query: ExitsQuery) -> Answer<'_, ExitList>;
    /// All that is known of one exit.
    fn exit_shown(&self, query: ExitQuery) -> Answer<'_, ExitShown>;
    /// Buys a tunnel. The stream ends with [`UpEvent::Up`] or [`UpEvent::Failed`]; a reader that
    /// goes away does not stop the attempt, [`NodeControl::down`] does.
    fn up(&self, request: UpRequest) -> Answer<'_, mpsc::Receiver<UpEvent>>;
    /// Ends the consumer's session, or the attempt to have one.
    fn down(&self, request: DownRequest) -> Answer<'_, DownReport>;
    /// Looks whether this machine can be an exit; changes nothing.
    fn exit_check(&self) -> Answer<'_, ExitCheck>;
    /// Says what enabling would mean; changes nothing.
    fn exit_terms(&self, query: ExitTermsQuery) -> Answer<'_, ExitTerms>;
    /// Becomes an exit, given consent.
    fn exit_enable(&self, request: ExitEnableRequest) -> Answer<'_, ExitStatus>;
    /// Stops being one: withdraws the offer, closes sessions, undoes the host's changes.
    fn exit_disable(&self) -> Answer<'_, ExitStatus>;
    /// The exit at a glance.
    fn exit_status(&self) -> Answer<'_, ExitStatus>;
    /// Its guests, and who may be one.
    fn exit_guests(&self) -> Answer<'_, ExitGuests>;
    /// Ends the session of one guest, which may come again.
    fn exit_kick(&self, request: KickRequest) -> Answer<'_, KickReport>;
    /// Money at a glance.
    fn wallet(&self) -> Answer<'_, WalletView>;
    /// Moves tokens out of the contract.
    fn withdraw(&self, request: WithdrawRequest) -> Answer<'_, TransactionReport>;
    /// Fixes where the tokens of a pot may go, given consent: it cannot be undone.
    fn fix_beneficiary(&self, request: BeneficiaryRequest) -> Answer<'_, TransactionReport>;
    /// Sends a whole pot to its beneficiary.
    fn pay_out(&self, request: PayoutRequest) -> Answer<'_, TransactionReport>;
    /// Claims what all channels owe this node, several in one transaction.
    fn claim_all(&self) -> Answer<'_, ClaimReport>;
    /// Every channel.
    fn channels(&self) -> Answer<'_, ChannelList>;
    /// Claims what a channel owes this node.
    fn claim(&self, channel: ChannelId) -> Answer<'_, TransactionReport>;
    /// Opens a channel to an exit or an account.
    fn open(&self, request: ChannelOpenRequest) -> Answer<'_, TransactionReport>;
    /// Deposits more into a channel that this node pays from.
    fn top_up(
        &self,
        channel: ChannelId,
        request: ChannelTopUpRequest,
    ) -> Answer<'_, TransactionReport>;
    /// Closes a channel: with the payee's consent at once, else after its window.
    fn close(
        &self,
        channel: ChannelId,
        request: ChannelCloseRequest,
    ) -> Answer<'_, TransactionReport>;
    /// What was earned.
    fn earn(&self) -> Answer<'_, Earnings>;
    /// Every movement of money.
    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Ledger>;
    /// Every receipt that is kept.
    fn receipts(&self) -> Answer<'_, ReceiptList>;
    /// The receipt of one session.
    fn receipt(&self, session: SessionId) -> Answer<'_, ReceiptView>;
    /// Whom this node watches over, and who watches over it.
    fn towers(&self) -> Answer<'_, TowerStatus>;
    /// What this node routes, and who routes for it.
    fn routes(&self) -> Answer<'_, RouteList>;
    /// Routers that the DHT knows of, and what each asks.
    fn routers(&self) -> Answer<'_, RouterList>;
    /// Who is connected.
    fn peers(&self) -> Answer<'_, PeerList>;
    /// Looks whether this node reaches others and is reached.
    fn net_check(&self) -> Answer<'_, NetCheck>;
    /// The neighbourhood in numbers.
    fn net_stats(&self) -> Answer<'_, NetStats>;
    /// What happens from now on. Ends when the node does; a reader that falls behind misses some, and sees that by
    /// their numbers.
    fn events(&self) -> Answer<'_, mpsc::Receiver<NodeEvent>>;
    /// Asks the daemon to end in good order. Answers at once.
    fn shutdown(&self) -> Answer<'_, ShutdownReport>;
    /// Every metric in Prometheus' text format: see [`crate::metrics`].
    fn metrics(&self) -> String;
}
