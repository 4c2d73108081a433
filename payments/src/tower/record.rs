//! What a tower keeps, as records of its table.

use super::appointment::{Appointment, Key};
use super::event::{Change, Closing};
use crate::codec::CodecError;
use crate::store::{Put, Table};

impl Change {
    /// What is to be written for it.
    #[must_use]
    pub fn put(&self) -> Put {
        let (key, value) = match self {
            Self::Put(key, it) => (key.encode(), it.as_ref().map(|it| it.encode())),
            Self::Closing(locator, it) => (Closing::key(locator), it.as_ref().map(Closing::encode)),
        };
        Put {
            table: Table::Tower,
            key,
            value,
        }
    }

    /// What was written; `None` for what an older or newer version keeps beside.
    ///
    /// # Errors
    /// [`CodecError`] if it is not what its key says.
    pub fn read(key: &[u8], value: &[u8]) -> Result<Option<Self>, CodecError> {
        if let Some(key) = Key::decode(key) {
            let it = Appointment::decode(value)?;
            return Ok(Some(Self::Put(key, Some(Box::new(it)))));
        }
        if key.first() == Some(&b'c') {
            let closing = Closing::decode(value)?;
            let locator = warren_proto::Locator::of(&closing.channel);
            return Ok(Some(Self::Closing(locator, Some(closing))));
        }
        Ok(None)
    }
}
