//! How routed payments are kept.
//!
//! Sans-IO.

use warren_proto::{PaymentId, UnixTime};

use super::{RoutedPayment, Stage};
use crate::channel::record::{put_lock, take_lock};
use crate::codec::{CodecError, Reader, Writer};

const VERSION: u8 = 1;

const fn code(stage: Stage) -> u8 {
    match stage {
        Stage::InDurable => 0,
        Stage::OutSigned => 1,
        Stage::Live => 2,
        Stage::OutRejected => 3,
        Stage::OutExpired => 4,
        Stage::InFolded => 5,
        Stage::InClaimed => 6,
        Stage::InReleased => 7,
    }
}

impl RoutedPayment {
    /// The record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.bytes(self.payment.as_bytes())
            .bytes(self.up.as_bytes())
            .bytes(self.down.as_bytes());
        put_lock(&mut out, &self.up_lock);
        put_lock(&mut out, &self.down_lock);
        out.u64(self.offered_at.as_millis()).u8(code(self.stage));
        out.option(self.best.as_ref(), |out, (k, word)| {
            out.u32(*k).bytes(word.expose());
        });
        out.finish()
    }

    /// Reads a record after a restart.
    ///
    /// # Errors
    /// [`CodecError`] for bytes that [`Self::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut read = Reader::new(bytes, VERSION)?;
        let payment = PaymentId::from_bytes(read.array()?);
        let (up, down) = (read.channel()?, read.channel()?);
        let (up_lock, down_lock) = (take_lock(&mut read)?, take_lock(&mut read)?);
        let offered_at = UnixTime::from_millis(read.u64()?);
        let number = read.u8()?;
        let stage = Stage::ALL.into_iter().find(|it| code(*it) == number);
        let best = read.option("best", |read| Ok((read.u32()?, read.word()?)))?;
        read.finish()?;
        Ok(Self {
            payment,
            up,
            down,
            up_lock,
            down_lock,
            offered_at,
            stage: stage.ok_or(CodecError::Range { field: "stage" })?,
            best,
        })
    }
}
