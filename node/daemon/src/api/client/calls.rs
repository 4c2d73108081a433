//! One method for each path of the API.

use warren_proto::{ChannelId, SessionId};

use super::{Client, ClientError, LineStream};
use crate::api::types::{
    BeneficiaryRequest, ChannelCloseRequest, ChannelList, ChannelOpenRequest, ChannelTopUpRequest,
    ClaimReport, DownReport, DownRequest, Earnings, ExitCheck, ExitEnableRequest, ExitGuests,
    ExitList, ExitQuery, ExitShown, ExitStatus, ExitTerms, ExitTermsQuery, ExitsQuery, KickReport,
    KickRequest, Ledger, LedgerQuery, MOST_ENTRIES, NetCheck, NetStats, NodeEvent, PayoutRequest,
    PeerList, ReceiptList, ReceiptView, RouteList, RouterList, ShutdownReport, Status, TowerStatus,
    TransactionReport, UpEvent, UpRequest, WalletView, WithdrawRequest,
};

/// What an answer is, or why there is none.
type Answered<T> = Result<T, ClientError>;

/// Every method fails with [`ClientError`]; [`ClientError::problem`] tells users what to do.
impl Client {
    /// The node at a glance.
    pub async fn status(&self) -> Answered<Status> {
        self.get("/v1/status").await
    }

    /// The market.
    pub async fn exits(&self, query: &ExitsQuery) -> Answered<ExitList> {
        self.get_with("/v1/exits", query).await
    }

    /// All that is known of one exit.
    pub async fn exit_shown(&self, query: &ExitQuery) -> Answered<ExitShown> {
        self.get_with("/v1/exits/show", query).await
    }

    /// Buys a tunnel; the stream tells how it goes.
    pub async fn up(&self, request: &UpRequest) -> Answered<LineStream<UpEvent>> {
        Ok(LineStream::new(
            "/v1/up",
            self.send_json("/v1/up", request).await?,
        ))
    }

    /// Ends the consumer's session.
    pub async fn down(&self, request: &DownRequest) -> Answered<DownReport> {
        self.post("/v1/down", request).await
    }

    /// Looks whether this machine can be an exit.
    pub async fn exit_check(&self) -> Answered<ExitCheck> {
        self.post("/v1/exit/check", &()).await
    }

    /// What enabling would mean.
    pub async fn exit_terms(&self, query: &ExitTermsQuery) -> Answered<ExitTerms> {
        self.get_with("/v1/exit/terms", query).await
    }

    /// Becomes an exit.
    pub async fn exit_enable(&self, request: &ExitEnableRequest) -> Answered<ExitStatus> {
        self.post("/v1/exit/enable", request).await
    }

    /// Its guests, and who may be one.
    pub async fn exit_guests(&self) -> Answered<ExitGuests> {
        self.get("/v1/exit/guests").await
    }

    /// Ends the session of one guest.
    pub async fn exit_kick(&self, request: &KickRequest) -> Answered<KickReport> {
        self.post("/v1/exit/kick", request).await
    }

    /// Stops being one.
    pub async fn exit_disable(&self) -> Answered<ExitStatus> {
        self.post("/v1/exit/disable", &()).await
    }

    /// The exit at a glance.
    pub async fn exit_status(&self) -> Answered<ExitStatus> {
        self.get("/v1/exit/status").await
    }

    /// Money at a glance.
    pub async fn wallet(&self) -> Answered<WalletView> {
        self.get("/v1/wallet").await
    }

    /// Moves tokens out of the contract.
    pub async fn withdraw(&self, request: &WithdrawRequest) -> Answered<TransactionReport> {
        self.post("/v1/wallet/withdraw", request).await
    }

    /// Fixes where the tokens of a pot may go.
    pub async fn fix_beneficiary(
        &self,
        request: &BeneficiaryRequest,
    ) -> Answered<TransactionReport> {
        self.post("/v1/wallet/beneficiary", request).await
    }

    /// Sends a whole pot to its beneficiary.
    pub async fn pay_out(&self, request: &PayoutRequest) -> Answered<TransactionReport> {
        self.post("/v1/wallet/payout", request).await
    }

    /// Claims what all channels owe this node.
    pub async fn claim_all(&self) -> Answered<ClaimReport> {
        self.post("/v1/claim", &()).await
    }

    /// Every channel.
    pub async fn channels(&self) -> Answered<ChannelList> {
        self.get("/v1/channels").await
    }

    /// Claims what a channel owes this node.
    pub async fn claim(&self, channel: ChannelId) -> Answered<TransactionReport> {
        self.post(&format!("/v1/channels/{channel}/claim"), &())
            .await
    }

    /// Opens a channel.
    pub async fn open(&self, request: &ChannelOpenRequest) -> Answered<TransactionReport> {
        self.post("/v1/channels", request).await
    }

    /// Deposits more into a channel.
    pub async fn top_up(
        &self,
        channel: ChannelId,
        request: &ChannelTopUpRequest,
    ) -> Answered<TransactionReport> {
        self.post(&format!("/v1/channels/{channel}/topup"), request)
            .await
    }

    /// Closes a channel.
    pub async fn close(
        &self,
        channel: ChannelId,
        request: &ChannelCloseRequest,
    ) -> Answered<TransactionReport> {
        self.post(&format!("/v1/channels/{channel}/close"), request)
            .await
    }

    /// What was earned.
    pub async fn earn(&self) -> Answered<Earnings> {
        self.get("/v1/earn").await
    }

    /// Movements of money, as many as one answer holds.
    pub async fn ledger(&self, query: &LedgerQuery) -> Answered<Ledger> {
        self.get_with("/v1/ledger", query).await
    }

    /// Every movement of money that is asked for, in as many answers as it takes; without a limit, all.
    pub async fn whole_ledger(&self, query: &LedgerQuery) -> Answered<Ledger> {
        let (mut left, mut page) = (query.limit, query.clone());
        let mut ask = async || {
            let limit = left.unwrap_or(MOST_ENTRIES).min(MOST_ENTRIES);
            page.limit = Some(limit);
            let answer = self.ledger(&page).await?;
            page.before = answer.entries.first().map(|it| it.number);
            let count = u32::try_from(answer.entries.len()).unwrap_or(u32::MAX);
            left = left.map(|it| it.saturating_sub(count));
            let is_first = page.before.is_none_or(|it| it == 0);
            let more = count >= limit && left != Some(0) && !is_first;
            Ok::<_, super::ClientError>((answer, more))
        };
        let (mut whole, mut more) = ask().await?;
        while more {
            let (earlier, yet) = ask().await?;
            whole.entries.splice(0..0, earlier.entries);
            more = yet;
        }
        Ok(whole)
    }

    /// Every receipt that is kept, without its text and its locks.
    pub async fn receipts(&self) -> Answered<ReceiptList> {
        self.get("/v1/receipts").await
    }

    /// The receipt of one session.
    pub async fn receipt(&self, session: SessionId) -> Answered<ReceiptView> {
        self.get(&format!("/v1/receipts/{session}")).await
    }

    /// Whom the node watches over, and who watches over it.
    pub async fn towers(&self) -> Answered<TowerStatus> {
        self.get("/v1/towers").await
    }

    /// `GET /v1/routes`.
    ///
    /// # Errors
    /// [`ClientError`](super::ClientError)
    pub async fn routes(&self) -> Answered<RouteList> {
        self.get("/v1/routes").await
    }

    /// `GET /v1/routers`.
    ///
    /// # Errors
    /// [`ClientError`](super::ClientError)
    pub async fn routers(&self) -> Answered<RouterList> {
        self.get("/v1/routers").await
    }

    /// Who is connected.
    pub async fn peers(&self) -> Answered<PeerList> {
        self.get("/v1/net/peers").await
    }

    /// Whether this node reaches others, and how many of them reached it.
    pub async fn net_check(&self) -> Answered<NetCheck> {
        self.get("/v1/net/check").await
    }

    /// The neighbourhood in numbers.
    pub async fn net_stats(&self) -> Answered<NetStats> {
        self.get("/v1/net/stats").await
    }

    /// What happens from now on.
    pub async fn events(&self) -> Answered<LineStream<NodeEvent>> {
        let answer = self
            .send(hyper::Method::GET, "/v1/events", hyper::body::Bytes::new())
            .await?;
        Ok(LineStream::new("/v1/events", answer))
    }

    /// Asks the daemon to end in good order.
    pub async fn shutdown(&self) -> Answered<ShutdownReport> {
        self.post("/v1/shutdown", &()).await
    }

    /// Every metric in Prometheus' text format.
    pub async fn metrics(&self) -> Answered<String> {
        self.text("/metrics").await
    }
}
