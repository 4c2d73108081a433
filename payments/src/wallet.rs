//! The wallet: one mnemonic, an account, a payer key per index, and the secret of all words.
//!
//! Keys are secp256k1 and have nothing to do with the node's ed25519 identity. What is on disk is
//! encrypted ([`mod@file`]); what is in memory is wiped when dropped and never shown.

pub mod file;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ethers_core::k256::ecdsa::SigningKey;
use ethers_core::rand::rngs::OsRng;
use ethers_signers::coins_bip39::{English, Mnemonic};
use hkdf::Hkdf;
use sha2::Sha256;
use warren_proto::{
    Amount, ChainRef, ChannelAsk, ChannelId, NodeId, PayoutAddress, UnixTime, Voucher,
};
use zeroize::{Zeroize, Zeroizing};

use crate::eip712::{self, Digest, SessionAuth};
use crate::voucher::{account, voucher_digest};
use crate::words::WordMaster;

// Our choice: 12 words are 128 bits, as strong as the curve.
const MNEMONIC_WORDS: usize = 12;
/// Where BIP-44 keeps the accounts of an EVM chain; the last number is the key's index.
const ACCOUNTS: &str = "m/44'/60'/0'/0";
const WORDS_INFO: &[u8] = b"warren/words/1";

/// Why there is no wallet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// Not a BIP-39 mnemonic (wrong word, wrong count or wrong checksum). The words are not quoted.
    #[error("not a valid BIP-39 mnemonic of {words} words")]
    Mnemonic {
        /// How many words were given.
        words: usize,
    },
    /// The derivation gave no valid key; its chance is 2^-127.
    #[error("no key at index {index}")]
    Derivation {
        /// The index asked for.
        index: u32,
    },
}

/// One mnemonic and what is derived from it.
#[derive(Clone)]
pub struct Wallet {
    phrase: Zeroizing<String>,
    master: WordMaster,
    account: WalletKey,
    /// Those derived so far, from index 0 on.
    keys: Arc<Mutex<Vec<WalletKey>>>,
}

impl Wallet {
    /// Makes a wallet from the system's randomness.
    ///
    /// # Errors
    /// [`WalletError`] if no key can be derived.
    pub fn generate() -> Result<Self, WalletError> {
        let mnemonic =
            Mnemonic::<English>::new_with_count(&mut OsRng, MNEMONIC_WORDS).map_err(|_| {
                WalletError::Mnemonic {
                    words: MNEMONIC_WORDS,
                }
            })?;
        let phrase = Zeroizing::new(mnemonic.to_phrase());
        Self::from_phrase(&phrase)
    }

    /// Restores a wallet from its mnemonic; blanks and letter case do not matter.
    ///
    /// # Errors
    /// [`WalletError::Mnemonic`] if it is not one.
    pub fn from_phrase(phrase: &str) -> Result<Self, WalletError> {
        let words = Zeroizing::new(phrase.to_lowercase());
        let words: Vec<&str> = words.split_whitespace().collect();
        let phrase = Zeroizing::new(words.join(" "));
        let mnemonic = parse(&phrase)?;
        let mut seed = mnemonic
            .to_seed(None)
            .map_err(|_| WalletError::Mnemonic { words: words.len() })?;
        let mut master = [0; 32];
        let expanded = Hkdf::<Sha256>::new(None, &seed).expand(WORDS_INFO, &mut master);
        debug_assert!(expanded.is_ok()); // 32 bytes is one block of at most 255.
        seed.zeroize();
        let keys = derive(&mnemonic, 0, 1)?;
        let account = keys[0].clone();
        let wallet = Self {
            phrase,
            master: WordMaster::from_bytes(master),
            keys: Arc::new(Mutex::new(keys)),
            account,
        };
        master.zeroize();
        Ok(wallet)
    }

    /// The words to write down. Whoever reads them owns the money.
    #[must_use]
    pub fn phrase(&self) -> &str {
        &self.phrase
    }

    /// The node's own account: index 0.
    #[must_use]
    pub fn account(&self) -> PayoutAddress {
        self.account.address()
    }

    /// The key of [`Self::account`].
    #[must_use]
    pub fn account_key(&self) -> &WalletKey {
        &self.account
    }

    /// The keys at m/44'/60'/0'/0/`from` and the `count` - 1 after it; the one at 0 is the account's.
    ///
    /// A key costs about a millisecond the first time; clones of a wallet share what was derived.
    ///
    /// # Errors
    /// [`WalletError::Derivation`], in theory.
    pub fn payer_keys(&self, from: u32, count: u32) -> Result<Vec<WalletKey>, WalletError> {
        let end = from.saturating_add(count);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let have = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        if have < end {
            keys.extend(derive(&parse(&self.phrase)?, have, end)?);
        }
        let place = |it: u32| usize::try_from(it).unwrap_or(usize::MAX);
        let asked = place(from)..place(end);
        Ok(keys.get(asked).map(<[_]>::to_vec).unwrap_or_default())
    }

    /// The secret all word chains come from.
    #[must_use]
    pub fn word_master(&self) -> &WordMaster {
        &self.master
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({})", self.account())
    }
}

fn parse(phrase: &str) -> Result<Mnemonic<English>, WalletError> {
    Mnemonic::new_from_phrase(phrase).map_err(|_| WalletError::Mnemonic {
        words: phrase.split(' ').count(),
    })
}

/// The keys at the indices `from` to `end` - 1.
fn derive(
    mnemonic: &Mnemonic<English>,
    from: u32,
    end: u32,
) -> Result<Vec<WalletKey>, WalletError> {
    let failed = |index| WalletError::Derivation { index };
    let root = mnemonic
        .derive_key(ACCOUNTS, None)
        .map_err(|_| failed(from))?;
    let keys = (from..end).map(|index| {
        let path = format!("m/{index}");
        let node = root.derive_path(path.as_str()).map_err(|_| failed(index))?;
        let key: &SigningKey = node.as_ref();
        Ok(WalletKey::new(key.clone()))
    });
    keys.collect()
}

/// One secp256k1 key: it owns money and signs vouchers and transactions.
#[derive(Clone)]
pub struct WalletKey {
    key: SigningKey, // Wipes itself when dropped.
    address: PayoutAddress,
}

impl WalletKey {
    fn new(key: SigningKey) -> Self {
        let address = account(key.verifying_key());
        Self { key, address }
    }

    /// Takes 32 secret bytes; `None` if they are not a key (zero, or beyond the curve's order).
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self::new)
    }

    /// The account this key owns.
    #[must_use]
    pub const fn address(&self) -> PayoutAddress {
        self.address
    }

    /// Signs `voucher` as it stands, replacing its signature.
    #[must_use]
    pub fn sign_voucher(&self, mut voucher: Voucher, chain: &ChainRef) -> Voucher {
        voucher.signature = self.sign_digest(&voucher_digest(&voucher, chain));
        voucher
    }

    /// Signs the payer's word that a channel is used in this session.
    #[must_use]
    pub fn sign_session_auth(&self, auth: &SessionAuth, chain: &ChainRef) -> [u8; 64] {
        self.sign_digest(&auth.digest(chain))
    }

    /// Signs the payer's question to `payee` as it stands, replacing its signature.
    #[must_use]
    pub fn sign_channel_ask(
        &self,
        mut ask: ChannelAsk,
        chain: &ChainRef,
        payee: &NodeId,
    ) -> ChannelAsk {
        ask.signature = self.sign_digest(&eip712::channel_ask(chain, &ask, payee));
        ask
    }

    /// Signs the payee's consent to close at `final_amount`.
    #[must_use]
    pub fn sign_payee_close(
        &self,
        chain: &ChainRef,
        channel: &ChannelId,
        final_amount: Amount,
        not_after: UnixTime,
    ) -> [u8; 64] {
        self.sign_digest(&eip712::payee_close(
            chain,
            channel,
            final_amount,
            not_after,
        ))
    }

    /// Signs a transaction's hash: `r`, `s`, and the parity as 0 or 1.
    #[must_use]
    pub fn sign_tx_hash(&self, hash: &[u8; 32]) -> [u8; 65] {
        let compact = self.sign_digest(&Digest(*hash));
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&compact);
        signature[64] = compact[32] >> 7;
        signature[32] &= 0x7f;
        signature
    }

    /// EIP-2098, low s. Deterministic (RFC 6979): signing again gives the same bytes.
    #[must_use]
    pub fn sign_digest(&self, digest: &Digest) -> [u8; 64] {
        // Fails only for a digest and key that together give r or s = 0: nobody can find one.
        let Ok((signature, recovery)) = self.key.sign_prehash_recoverable(digest.as_bytes()) else {
            return [0; 64];
        };
        let mut bytes: [u8; 64] = signature.to_bytes().into();
        bytes[32] |= u8::from(recovery.is_y_odd()) << 7;
        bytes
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WalletKey({})", self.address)
    }
}

#[cfg(test)]
mod tests;
