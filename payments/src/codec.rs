//! The bytes a record is kept in: fixed-width big-endian fields behind a version byte.
//!
//! Sans-IO. Reading never panics, whatever the bytes: each read says whether it fitted.

use warren_proto::{Amount, ChannelId, HashLock, PayoutAddress, Preimage};

/// Why stored bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The record ends early.
    #[error("record ends {missing} bytes too early")]
    Short {
        /// Bytes that were asked for and not there.
        missing: usize,
    },
    /// The record goes on after its last field.
    #[error("record has {extra} bytes after its end")]
    Long {
        /// Bytes left over.
        extra: usize,
    },
    /// Written by a version this program does not know.
    #[error("record version {found}, this program reads {known}")]
    Version {
        /// Version byte of the record.
        found: u8,
        /// Version byte this program writes.
        known: u8,
    },
    /// A field holds a value its type does not have.
    #[error("record field `{field}` out of range")]
    Range {
        /// Name of the field.
        field: &'static str,
    },
}

/// Appends fields.
#[derive(Debug)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(version: u8) -> Self {
        Self(vec![version])
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn amount(&mut self, value: Amount) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A length and then each item; lists here are short (the cores bound them).
    pub(crate) fn list<T>(&mut self, items: &[T], each: impl Fn(&mut Self, &T)) -> &mut Self {
        self.u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
        for item in items {
            each(self, item);
        }
        self
    }

    /// A presence byte and, if present, the item.
    pub(crate) fn option<T>(
        &mut self,
        item: Option<&T>,
        each: impl Fn(&mut Self, &T),
    ) -> &mut Self {
        self.u8(u8::from(item.is_some()));
        if let Some(item) = item {
            each(self, item);
        }
        self
    }
}

/// Takes fields off the front.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], known: u8) -> Result<Self, CodecError> {
        let mut reader = Self(bytes);
        match reader.u8()? {
            found if found == known => Ok(reader),
            found => Err(CodecError::Version { found, known }),
        }
    }

    pub(crate) fn finish(self) -> Result<(), CodecError> {
        match self.0.len() {
            0 => Ok(()),
            extra => Err(CodecError::Long { extra }),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(CodecError::Short {
            missing: N.saturating_sub(self.0.len()),
        })?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn amount(&mut self) -> Result<Amount, CodecError> {
        let bytes = self.array::<12>()?;
        Amount::from_be_slice(&bytes).ok_or(CodecError::Range { field: "amount" })
    }

    pub(crate) fn address(&mut self) -> Result<PayoutAddress, CodecError> {
        Ok(PayoutAddress::from_bytes(self.array()?))
    }

    pub(crate) fn channel(&mut self) -> Result<ChannelId, CodecError> {
        Ok(ChannelId::from_bytes(self.array()?))
    }

    pub(crate) fn lock(&mut self) -> Result<HashLock, CodecError> {
        Ok(HashLock::from_bytes(self.array()?))
    }

    pub(crate) fn word(&mut self) -> Result<Preimage, CodecError> {
        Ok(Preimage::from_bytes(self.array()?))
    }

    /// Reads a list of at most `max` items, so that a damaged length cannot ask for memory.
    pub(crate) fn list<T>(
        &mut self,
        max: usize,
        field: &'static str,
        each: impl Fn(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        let count = self.u32()? as usize;
        if count > max {
            return Err(CodecError::Range { field });
        }
        (0..count).map(|_| each(self)).collect()
    }

    pub(crate) fn option<T>(
        &mut self,
        field: &'static str,
        each: impl Fn(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        match self.u8()? {
            0 => Ok(None),
            1 => each(self).map(Some),
            _ => Err(CodecError::Range { field }),
        }
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Range { field }),
        }
    }
}
