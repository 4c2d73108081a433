//! A transaction as the chain takes it: built, and signed by whoever has the key.

use ethers_core::types::transaction::eip2718::TypedTransaction;
use ethers_core::types::{Address, Eip1559TransactionRequest, Signature, U256};
use ethers_core::utils::keccak256;
use warren_proto::{Amount, PayoutAddress, TxHash};

/// A transaction as EIP-1559 wants it, not yet signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedTx {
    /// The chain it is good for; on any other it is void.
    pub chain_id: u64,
    /// The account's count of transactions so far.
    pub nonce: u64,
    /// Who is called.
    pub to: PayoutAddress,
    /// Native money sent along.
    pub value: Amount,
    /// Gas at most.
    pub gas_limit: u64,
    /// Paid per gas at most, the tip included.
    pub max_fee: Amount,
    /// Per gas to the block's maker.
    pub tip: Amount,
    /// The calldata.
    pub data: Vec<u8>,
}

/// A transaction ready for the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTx {
    /// Its bytes.
    pub raw: Vec<u8>,
    /// Its name on the chain.
    pub hash: TxHash,
}

impl UnsignedTx {
    /// What the account's key signs.
    #[must_use]
    pub fn signing_hash(&self) -> [u8; 32] {
        self.typed().sighash().0
    }

    /// Puts the signature on: `r`, `s`, and the parity as 0 or 1.
    #[must_use]
    pub fn seal(&self, signature: &[u8; 65]) -> SignedTx {
        let [r @ .., parity] = signature;
        let (r, s) = r.split_at(32);
        let signature = Signature {
            r: U256::from_big_endian(r),
            s: U256::from_big_endian(s),
            v: u64::from(*parity),
        };
        let raw = self.typed().rlp_signed(&signature).to_vec();
        let hash = TxHash::from_bytes(keccak256(&raw));
        SignedTx { raw, hash }
    }

    fn typed(&self) -> TypedTransaction {
        TypedTransaction::Eip1559(
            Eip1559TransactionRequest::new()
                .chain_id(self.chain_id)
                .nonce(self.nonce)
                .to(Address::from(self.to.as_bytes()))
                .value(self.value.wei())
                .gas(self.gas_limit)
                .max_fee_per_gas(self.max_fee.wei())
                .max_priority_fee_per_gas(self.tip.wei())
                .data(self.data.clone()),
        )
    }
}
