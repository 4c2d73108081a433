//! What can be asked of the task.

use std::time::Duration;

use warren_proto::{
    Amount, ChannelAnswer, ChannelAsk, ChannelId, ChannelParams, NodeId, PayoutAddress, TxHash,
    UnixTime, Voucher, VoucherAck, WordFrame,
};

use crate::calls::{Call, Claim};
use crate::channel::{Accepted, CloseConsent};
use crate::eip712::SessionAuth;
use crate::evidence::Evidence;
use crate::handle::{Answer, ChannelView, ClaimOutlook, Funds, GasCost, PayFrame, Pot};
use crate::ledger::{Books, Entry};

use super::company::Claiming;
pub(crate) use super::route::RouteCommand;

/// One question or order, with the place for its answer.
pub(crate) enum Command {
    Channels(Answer<Vec<ChannelView>>),
    Ledger(Answer<Vec<Entry>>),
    Books(Answer<Books>),
    Evidence {
        channel: ChannelId,
        answer: Answer<Option<Evidence>>,
    },
    Balances(Answer<Funds>),
    Claimable(Answer<Amount>),
    ClaimOutlook(Answer<ClaimOutlook>),
    Refresh(Answer<()>),
    HasHeard(Answer<bool>),
    Trusted(Answer<()>),
    IsFresh(Answer<bool>),
    Send {
        call: Box<Call>,
        answer: Answer<TxHash>,
    },
    CostOf {
        call: Box<Call>,
        answer: Answer<GasCost>,
    },
    Pot {
        owner: PayoutAddress,
        answer: Answer<Pot>,
    },
    Open {
        payee: PayoutAddress,
        deposit: Amount,
        period: Duration,
        answer: Answer<ChannelId>,
    },
    WaitUsable {
        channel: ChannelId,
        answer: Answer<()>,
    },
    PrepareLock {
        channel: ChannelId,
        unit_price: Amount,
        answer: Answer<Voucher>,
    },
    SignAuth {
        auth: SessionAuth,
        answer: Answer<[u8; 64]>,
    },
    Release {
        channel: ChannelId,
        total_units: u64,
        answer: Answer<Vec<PayFrame>>,
    },
    Finish {
        channel: ChannelId,
        answer: Answer<Voucher>,
    },
    Repeat {
        channel: ChannelId,
        answer: Answer<Vec<PayFrame>>,
    },
    PayeeSaw {
        ack: VoucherAck,
        answer: Answer<Vec<PayFrame>>,
    },
    SignAsk {
        channel: ChannelId,
        payee: NodeId,
        close: bool,
        answer: Answer<ChannelAsk>,
    },
    AnswerAsk {
        ask: Box<ChannelAsk>,
        own: NodeId,
        answer: Answer<ChannelAnswer>,
    },
    PayeeShows {
        shown: Box<ChannelAnswer>,
        answer: Answer<Vec<PayFrame>>,
    },
    TopUp {
        channel: ChannelId,
        amount: Amount,
        answer: Answer<TxHash>,
    },
    Close {
        channel: ChannelId,
        consent: Option<CloseConsent>,
        answer: Answer<TxHash>,
    },
    Watch {
        params: ChannelParams,
        auth: SessionAuth,
        signature: [u8; 64],
        answer: Answer<ChannelView>,
    },
    BeginSession {
        channel: ChannelId,
        unit_price: Amount,
        answer: Answer<Accepted>,
    },
    Voucher {
        voucher: Voucher,
        answer: Answer<Accepted>,
    },
    Word {
        channel: ChannelId,
        word: WordFrame,
        answer: Answer<Accepted>,
    },
    Held {
        channel: ChannelId,
        answer: Answer<Accepted>,
    },
    Claim {
        channel: ChannelId,
        answer: Answer<Option<TxHash>>,
    },
    ClaimAll(Answer<Vec<Claiming>>),
    ClaimFor {
        claim: Box<Claim>,
        deadline: Option<UnixTime>,
        answer: Answer<TxHash>,
    },
    Consent {
        channel: ChannelId,
        not_after: UnixTime,
        answer: Answer<CloseConsent>,
    },
    Route(RouteCommand),
    GiveBack {
        channel: ChannelId,
        answer: Answer<TxHash>,
    },
}
