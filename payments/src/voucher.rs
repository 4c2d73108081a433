//! Vouchers: drafted by a payer's core, signed by its wallet, believed only once verified.

use ethers_core::k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use ethers_core::utils::keccak256;
use warren_proto::{
    Amount, AmountOverflow, ChainRef, ChannelId, ChannelParams, Lock, PayoutAddress, Voucher,
    WordFrame,
};

use crate::eip712::{self, Digest};

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not the 64 bytes of an EIP-2098 signature with low s.
    #[error("malformed signature")]
    Malformed,
    /// Signed by somebody else.
    #[error("signed by {signer}, expected {expected}")]
    WrongSigner {
        /// Who signed.
        signer: PayoutAddress,
        /// Who should have.
        expected: PayoutAddress,
    },
}

/// Why a voucher does not count. Always the payer's doing; never fatal to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VoucherError {
    /// It names another channel.
    #[error("voucher for channel {found}, expected {expected}")]
    OtherChannel {
        /// The channel it names.
        found: ChannelId,
        /// The channel it came in for.
        expected: ChannelId,
    },
    /// It is not signed by the channel's payer.
    #[error("voucher {seq} of channel {channel}: {source}")]
    Signature {
        /// The channel.
        channel: ChannelId,
        /// The voucher's number.
        seq: u64,
        /// What is wrong.
        source: SignatureError,
    },
}

/// A voucher signed by the payer of its channel. Cannot be made otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedVoucher(Voucher);

impl VerifiedVoucher {
    /// Checks the channel and the payer's signature.
    ///
    /// # Errors
    /// [`VoucherError`] if either is not as `params` on `chain` says.
    pub fn verify(
        voucher: Voucher,
        params: &ChannelParams,
        chain: &ChainRef,
    ) -> Result<Self, VoucherError> {
        let expected = params.id(chain);
        if voucher.channel != expected {
            return Err(VoucherError::OtherChannel {
                found: voucher.channel,
                expected,
            });
        }
        verify_signature(
            &voucher_digest(&voucher, chain),
            &voucher.signature,
            &params.payer,
        )
        .map_err(|source| VoucherError::Signature {
            channel: voucher.channel,
            seq: voucher.seq,
            source,
        })?;
        Ok(Self(voucher))
    }

    /// The voucher.
    #[must_use]
    pub fn get(&self) -> &Voucher {
        &self.0
    }

    /// Takes a voucher that was verified before it was stored.
    pub(crate) fn from_record(voucher: Voucher) -> Self {
        Self(voucher)
    }
}

/// The digest of a voucher as received.
#[must_use]
pub fn voucher_digest(voucher: &Voucher, chain: &ChainRef) -> Digest {
    eip712::voucher(
        chain,
        &voucher.channel,
        voucher.seq,
        voucher.base,
        &voucher.locks,
    )
}

/// The most `locks` can ever pay.
///
/// # Errors
/// [`AmountOverflow`] if the sum leaves the range of money.
pub fn locks_max(locks: &[Lock]) -> Result<Amount, AmountOverflow> {
    locks.iter().try_fold(Amount::ZERO, |sum, lock| {
        sum.checked_add(lock.unit_price.checked_mul(u64::from(lock.units))?)
    })
}

/// What `voucher` pays with `words`: each must open its lock, and counts once.
///
/// At most 16 · 1024 hashes. Locks that expire count too: see the caller's clock.
///
/// # Errors
/// [`BadProof`] for a word that opens nothing, or a sum that is no money.
pub fn worth(voucher: &Voucher, words: &[WordFrame]) -> Result<Amount, BadProof> {
    let mut sum = voucher.base;
    let mut next = 0;
    for word in words {
        let lock = usize::try_from(word.lane)
            .ok()
            .filter(|lane| *lane >= next)
            .and_then(|lane| voucher.locks.get(lane));
        let lock = lock
            .filter(|it| word.k <= it.units && it.anchor.opens_with(&word.word, word.k))
            .ok_or(BadProof { lane: word.lane })?;
        next = word.lane as usize + 1;
        let paid = lock.unit_price.checked_mul(u64::from(word.k));
        sum = paid
            .and_then(|it| sum.checked_add(it))
            .map_err(|_| BadProof { lane: word.lane })?;
    }
    Ok(sum)
}

/// A word that does not open its lock, or was counted already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the word for lock {lane} does not fit")]
pub struct BadProof {
    /// Index of the lock.
    pub lane: u32,
}

/// Checks that `expected` signed `digest`.
///
/// # Errors
/// [`SignatureError`], which names the actual signer.
pub fn verify_signature(
    digest: &Digest,
    signature: &[u8; 64],
    expected: &PayoutAddress,
) -> Result<(), SignatureError> {
    let signer = recover(digest, signature)?;
    if signer == *expected {
        Ok(())
    } else {
        Err(SignatureError::WrongSigner {
            signer,
            expected: *expected,
        })
    }
}

/// Recovers the account that signed `digest`. EIP-2098: `r`, then `s` with the parity on top.
fn recover(digest: &Digest, signature: &[u8; 64]) -> Result<PayoutAddress, SignatureError> {
    let mut bytes = *signature;
    let odd = bytes[32] & 0x80 != 0;
    bytes[32] &= 0x7f;
    let signature = Signature::from_slice(&bytes).map_err(|_| SignatureError::Malformed)?;
    if signature.normalize_s().is_some() {
        return Err(SignatureError::Malformed); // High s: a second valid form of the same signature.
    }
    let key = VerifyingKey::recover_from_prehash(
        digest.as_bytes(),
        &signature,
        RecoveryId::new(odd, false),
    )
    .map_err(|_| SignatureError::Malformed)?;
    Ok(account(&key))
}

/// The account of a public key: the last 20 bytes of its keccak256.
pub(crate) fn account(key: &VerifyingKey) -> PayoutAddress {
    let point = key.to_encoded_point(false);
    let hash = keccak256(&point.as_bytes()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    PayoutAddress::from_bytes(address)
}

#[cfg(test)]
mod tests;
