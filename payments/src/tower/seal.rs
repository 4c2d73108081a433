//! Puts: sealed by the payee, opened by the tower once it knows the channel.
//!
//! Sans-IO: the caller brings the randomness. The key follows from the channel's id and nothing else,
//! so whoever knows the id can open: see docs/adr/0018 for what that is good for and what not.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use warren_proto::{
    Amount, ChainRef, ChannelId, Locator, Lock, MAX_SEALED_BYTES, TowerClaim, TowerDeadline,
    TowerPut, WireError, WordFrame,
};
use zeroize::Zeroizing;

use crate::calls::Claim;
use crate::channel::router::rules::LAST_MOMENT_SECS;
use crate::evidence::Evidence;
use crate::voucher::{BadProof, VerifiedVoucher, VoucherError, worth};

// Specification (proto/schema, TowerPut).
/// Random bytes of a put.
pub const NONCE_BYTES: usize = 24;
const INFO: &[u8] = b"warren/tower/seal/1";
/// Lengths say how many locks there are: up to here they do not.
const BLOCK: usize = 512;

/// Why a put cannot be claimed with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was not sealed for this channel and number, or changed since.
    #[error("the seal is broken")]
    Broken,
    /// What was sealed is no claim.
    #[error("no claim is inside: {0}")]
    NoClaim(#[from] WireError),
    /// The claim inside is for another channel than it is found by.
    #[error("the claim inside is for another channel")]
    OtherChannel,
    /// The voucher inside is not the payer's.
    #[error(transparent)]
    Voucher(#[from] VoucherError),
    /// A word inside does not open its lock.
    #[error(transparent)]
    Word(#[from] BadProof),
}

/// Seals what `evidence` proves into a put. `until`: chain seconds.
///
/// `None` if it does not fit, which 16 locks do.
#[must_use]
pub fn put(
    channel: &ChannelId,
    evidence: &Evidence,
    (number, until): (u64, u64),
    nonce: [u8; NONCE_BYTES],
) -> Option<TowerPut> {
    let claim = TowerClaim {
        params: evidence.params,
        voucher: evidence.voucher.clone(),
        best: evidence.best.clone(),
    };
    let bytes = Zeroizing::new(claim.encode());
    let length = u16::try_from(bytes.len()).ok()?;
    let mut padded = Zeroizing::new(length.to_be_bytes().to_vec());
    padded.extend_from_slice(&bytes);
    let whole = padded.len().next_multiple_of(BLOCK);
    padded.resize(whole, 0);
    let locator = Locator::of(channel);
    let payload = Payload {
        msg: &padded,
        aad: &bound_to(&locator, number),
    };
    let sealed = cipher(channel)
        .encrypt(&XNonce::from(nonce), payload)
        .ok()?;
    let sealed = [nonce.as_slice(), &sealed].concat();
    // The first lock that expires with a word known is the last moment; the margin is R4 of docs/payments.md.
    let lane = |it: &WordFrame| usize::try_from(it.lane).ok();
    let lanes = evidence.best.iter().filter_map(lane);
    let locks = lanes.filter_map(|it| evidence.voucher.locks.get(it));
    let first = locks.map(|it| it.expiry).filter(|it| *it > 0).min();
    let deadline = first.map(|it| TowerDeadline {
        channel: *channel,
        act_at: it.saturating_sub(CLAIM_MARGIN_SECS),
    });
    (sealed.len() <= MAX_SEALED_BYTES).then_some(TowerPut {
        locator,
        number,
        until,
        sealed,
        deadline,
    })
}

/// R4: a claim starts so long before a lock expires.
const CLAIM_MARGIN_SECS: u64 = 20 * 60;

/// Opens a put for a channel and proves what is inside; with it, what it is worth in all at `now`, in chain
/// seconds. Words of locks that are over within [`LAST_MOMENT_SECS`] are left out: one of them would undo the
/// whole claim.
///
/// # Errors
/// [`SealError`]: nothing in it can be claimed with.
pub fn open(
    chain: &ChainRef,
    channel: &ChannelId,
    (number, now): (u64, u64),
    sealed: &[u8],
) -> Result<(Claim, Amount), SealError> {
    let (nonce, sealed) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(SealError::Broken)?;
    let payload = Payload {
        msg: sealed,
        aad: &bound_to(&Locator::of(channel), number),
    };
    let padded = cipher(channel).decrypt(&XNonce::from(*nonce), payload);
    let padded = Zeroizing::new(padded.map_err(|_| SealError::Broken)?);
    let (length, rest) = padded.split_first_chunk::<2>().ok_or(SealError::Broken)?;
    let bytes = rest.get(..usize::from(u16::from_be_bytes(*length)));
    let inside = TowerClaim::decode(bytes.ok_or(SealError::Broken)?)?;
    if inside.params.id(chain) != *channel {
        return Err(SealError::OtherChannel);
    }
    let verified = VerifiedVoucher::verify(inside.voucher.clone(), &inside.params, chain)?;
    let locks = &verified.get().locks;
    let lock = |it: &WordFrame| usize::try_from(it.lane).ok().and_then(|it| locks.get(it));
    let is_over = |it: &Lock| it.expiry > 0 && it.expiry <= now.saturating_add(LAST_MOMENT_SECS);
    let best = inside.best.into_iter();
    let best: Vec<_> = best.filter(|it| !lock(it).is_some_and(is_over)).collect();
    let value = worth(verified.get(), &best)?;
    let evidence = Evidence {
        params: inside.params,
        voucher: inside.voucher,
        best,
        value,
        value_before: value,
    };
    let claim = evidence.claim().ok_or(SealError::Broken)?;
    Ok((claim, value))
}

fn cipher(channel: &ChannelId) -> XChaCha20Poly1305 {
    let mut key = Zeroizing::new([0_u8; 32]);
    // 32 bytes are within what HKDF gives.
    let _ = Hkdf::<Sha256>::new(None, channel.as_bytes()).expand(INFO, key.as_mut_slice());
    let key: &[u8; 32] = &key;
    XChaCha20Poly1305::new(key.into())
}

fn bound_to(locator: &Locator, number: u64) -> Vec<u8> {
    [locator.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}
