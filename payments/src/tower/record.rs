//! What a tower keeps, as records of its table.

use super::appointment::{Appointment, Key};
use super::event::{Change, Closing};
use crate::codec::CodecError;
use crate::store::{Put, Table};

pub(super) fn put_of(change: &Change) -> Put {
    let (key, value) = match change {
        Change::Put(key, it) => (key.encode(), it.as_ref().map(|it| it.encode())),
        Change::Closing(locator, it) => (Closing::key(locator), it.as_ref().map(Closing::encode)),
    };
    Put {
        table: Table::Tower,
        key,
        value,
    }
}

/// `None` for what an older or newer version keeps beside.
pub(super) fn read(key: &[u8], value: &[u8]) -> Result<Option<Change>, CodecError> {
    if let Some(key) = Key::decode(key) {
        let it = Appointment::decode(value)?;
        return Ok(Some(Change::Put(key, Some(Box::new(it)))));
    }
    if key.first() == Some(&b'c') {
        let closing = Closing::decode(value)?;
        let locator = warren_proto::Locator::of(&closing.channel);
        return Ok(Some(Change::Closing(locator, Some(closing))));
    }
    Ok(None)
}
