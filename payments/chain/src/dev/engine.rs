//! The EVM of the development chain: runs one call on one state.

use revm::context::result::{EVMError, ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::database::InMemoryDB;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, Log, TxKind, U256};
use revm::state::{AccountInfo, EvmState};
use revm::{
    Context, DatabaseCommit as _, DatabaseRef as _, ExecuteEvm as _, MainBuilder as _,
    MainContext as _,
};
use warren_proto::PayoutAddress;

/// Gas in one block.
pub(super) const BLOCK_GAS: u64 = 60_000_000;
/// Gas in one transaction, as since EIP-7825.
pub(super) const TX_GAS: u64 = 16_777_216;

/// Who gets the tips: nobody.
const MAKER: Address = Address::repeat_byte(0x77);

/// Accounts and code, at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    db: InMemoryDB,
}

/// The block a call sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) chain_id: u64,
    pub(super) number: u64,
    pub(super) timestamp_secs: u64,
    pub(super) base_fee: u64,
}

/// What is run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) from: PayoutAddress,
    /// `None` makes a contract.
    pub(super) to: Option<PayoutAddress>,
    pub(super) value: u128,
    pub(super) gas_limit: u64,
    pub(super) max_fee: u128,
    pub(super) tip: u128,
    /// `None` is whatever comes next.
    pub(super) nonce: Option<u64>,
    pub(super) data: Vec<u8>,
}

impl Run {
    /// A call whose gas nobody pays for.
    pub(super) const fn free(
        from: PayoutAddress,
        to: Option<PayoutAddress>,
        data: Vec<u8>,
    ) -> Self {
        Self {
            from,
            to,
            value: 0,
            gas_limit: TX_GAS,
            max_fee: 0,
            tip: 0,
            nonce: None,
            data,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Ran {
    pub(super) success: bool,
    pub(super) halted: Option<String>,
    pub(super) gas_used: u64,
    pub(super) output: Vec<u8>,
    pub(super) created: Option<PayoutAddress>,
    pub(super) logs: Vec<Log>,
}

impl State {
    /// Runs and keeps the effects.
    pub(super) fn execute(&mut self, frame: &Frame, run: &Run) -> Result<Ran, String> {
        let (ran, changes) = self.run(frame, run)?;
        self.db.commit(changes);
        Ok(ran)
    }

    /// Runs and forgets the effects.
    pub(super) fn simulate(&self, frame: &Frame, run: &Run) -> Result<Ran, String> {
        let free = Frame {
            base_fee: 0,
            ..*frame
        };
        self.run(&free, run).map(|(ran, _)| ran)
    }

    fn run(&self, frame: &Frame, run: &Run) -> Result<(Ran, EvmState), String> {
        let mut cfg = CfgEnv::new_with_spec(SpecId::PRAGUE).with_chain_id(frame.chain_id);
        cfg.disable_nonce_check = run.nonce.is_none();
        let block = BlockEnv {
            number: U256::from(frame.number),
            timestamp: U256::from(frame.timestamp_secs),
            basefee: frame.base_fee,
            gas_limit: BLOCK_GAS,
            beneficiary: MAKER,
            ..BlockEnv::default()
        };
        let tx = TxEnv::builder()
            .caller(alloy(run.from))
            .kind(run.to.map_or(TxKind::Create, |to| TxKind::Call(alloy(to))))
            .value(U256::from(run.value))
            .gas_limit(run.gas_limit)
            .gas_price(run.max_fee)
            .gas_priority_fee(Some(run.tip))
            .nonce(run.nonce.unwrap_or(0))
            .chain_id(Some(frame.chain_id))
            .data(Bytes::from(run.data.clone()))
            .build()
            .map_err(|error| format!("{error:?}"))?;
        let mut evm = Context::mainnet()
            .with_ref_db(&self.db)
            .with_cfg(cfg)
            .with_block(block)
            .build_mainnet();
        let done = evm.transact(tx).map_err(|error| match &error {
            EVMError::Transaction(reason) => reason.to_string(),
            EVMError::Header(_)
            | EVMError::Database(_)
            | EVMError::Custom(_)
            | EVMError::CustomAny(_) => error.to_string(),
        })?;
        Ok((Ran::from(done.result), done.state))
    }

    pub(super) fn nonce(&self, owner: PayoutAddress) -> u64 {
        self.account(owner).nonce
    }

    pub(super) fn balance(&self, owner: PayoutAddress) -> U256 {
        self.account(owner).balance
    }

    pub(super) fn code(&self, owner: PayoutAddress) -> Vec<u8> {
        let info = self.account(owner);
        let Ok(code) = self.db.code_by_hash_ref(info.code_hash);
        code.original_byte_slice().to_vec()
    }

    pub(super) fn storage(&self, owner: PayoutAddress, slot: [u8; 32]) -> [u8; 32] {
        let Ok(value) = self.db.storage_ref(alloy(owner), U256::from_be_bytes(slot));
        value.to_be_bytes()
    }

    /// Makes native money out of nothing; for the first block only.
    pub(super) fn endow(&mut self, owner: PayoutAddress, wei: u128) {
        let info = AccountInfo {
            balance: U256::from(wei),
            ..self.account(owner)
        };
        self.db.insert_account_info(alloy(owner), info);
    }

    fn account(&self, owner: PayoutAddress) -> AccountInfo {
        let Ok(info) = self.db.basic_ref(alloy(owner));
        info.unwrap_or_default()
    }
}

fn alloy(address: PayoutAddress) -> Address {
    Address::from(*address.as_bytes())
}

impl From<ExecutionResult> for Ran {
    fn from(result: ExecutionResult) -> Self {
        match result {
            ExecutionResult::Success {
                gas, logs, output, ..
            } => {
                let (output, created) = match output {
                    Output::Call(data) => (data, None),
                    Output::Create(data, at) => (data, at),
                };
                Self {
                    success: true,
                    halted: None,
                    gas_used: gas.tx_gas_used(),
                    output: output.to_vec(),
                    created: created.map(|it| PayoutAddress::from_bytes(it.into_array())),
                    logs,
                }
            }
            ExecutionResult::Revert { gas, output, .. } => {
                Self::undone(gas.tx_gas_used(), output.to_vec(), None)
            }
            ExecutionResult::Halt { reason, gas, .. } => {
                Self::undone(gas.tx_gas_used(), Vec::new(), Some(format!("{reason:?}")))
            }
        }
    }
}

impl Ran {
    const fn undone(gas_used: u64, output: Vec<u8>, halted: Option<String>) -> Self {
        Self {
            success: false,
            halted,
            gas_used,
            output,
            created: None,
            logs: Vec::new(),
        }
    }
}
