//! Reads what a contract returned when it undid a call.

use ethers_core::abi::ParamType::{self, Address, FixedBytes, String as Text, Uint};

use super::abi::{Reader, selector};
use super::error::Revert;

type Read = fn(&mut Reader) -> Option<Revert>;

/// Every error of the contract and its token: name, types, how to read it.
pub(crate) const ALL: &[(&str, &[ParamType], Read)] = &[
    ("BadParams()", &[], |_| Some(Revert::BadParams)),
    ("NotPayer(address)", &[Address], |it| {
        Some(Revert::NotPayer {
            payer: it.address()?,
        })
    }),
    ("NotPayee(address)", &[Address], |it| {
        Some(Revert::NotPayee {
            payee: it.address()?,
        })
    }),
    ("NotOpen(bytes32)", &[FixedBytes(32)], |_| {
        Some(Revert::NotOpen)
    }),
    ("IdUsed(bytes32)", &[FixedBytes(32)], |_| {
        Some(Revert::IdUsed)
    }),
    ("IsClosing(uint48)", &[Uint(48)], |it| {
        Some(Revert::IsClosing {
            closes_at: it.secs()?,
        })
    }),
    ("NotClosing()", &[], |_| Some(Revert::NotClosing)),
    ("TooEarly(uint48)", &[Uint(48)], |it| {
        Some(Revert::TooEarly {
            closes_at: it.secs()?,
        })
    }),
    ("TooLate(uint48)", &[Uint(48)], |it| {
        Some(Revert::TooLate {
            not_after: it.secs()?,
        })
    }),
    ("ZeroAmount()", &[], |_| Some(Revert::ZeroAmount)),
    ("Insufficient(uint96,uint96)", &[Uint(96), Uint(96)], |it| {
        Some(Revert::Insufficient {
            balance: it.amount()?,
            wanted: it.amount()?,
        })
    }),
    ("PotFull(address)", &[Address], |it| {
        Some(Revert::PotFull {
            owner: it.address()?,
        })
    }),
    ("BeneficiaryFixed(address)", &[Address], |it| {
        Some(Revert::BeneficiaryFixed {
            beneficiary: it.address()?,
        })
    }),
    ("NoBeneficiary(address)", &[Address], |it| {
        Some(Revert::NoBeneficiary {
            owner: it.address()?,
        })
    }),
    (
        "WrongDelta(uint256,uint256)",
        &[Uint(256), Uint(256)],
        |it| {
            Some(Revert::WrongDelta {
                received: it.capped()?,
                wanted: it.capped()?,
            })
        },
    ),
    ("BadSignature(address)", &[Address], |it| {
        Some(Revert::BadSignature {
            expected: it.address()?,
        })
    }),
    ("TooManyLocks(uint256)", &[Uint(256)], |it| {
        Some(Revert::TooManyLocks { locks: it.u128()? })
    }),
    ("BadReveal(uint256)", &[Uint(256)], |it| {
        Some(Revert::BadReveal { index: it.u128()? })
    }),
    (
        "LockExpired(uint256,uint48)",
        &[Uint(256), Uint(48)],
        |it| {
            Some(Revert::LockExpired {
                index: it.u128()?,
                expiry: it.secs()?,
            })
        },
    ),
    ("NothingNew(uint96)", &[Uint(96)], |it| {
        Some(Revert::NothingNew {
            claimed: it.amount()?,
        })
    }),
    ("ReentrancyGuardReentrantCall()", &[], |_| {
        Some(Revert::Reentered)
    }),
    (
        "ERC20InsufficientBalance(address,uint256,uint256)",
        &[Address, Uint(256), Uint(256)],
        |it| {
            it.address()?;
            Some(Revert::TokenBalance {
                balance: it.capped()?,
                wanted: it.capped()?,
            })
        },
    ),
    (
        "ERC20InsufficientAllowance(address,uint256,uint256)",
        &[Address, Uint(256), Uint(256)],
        |it| {
            it.address()?;
            Some(Revert::TokenAllowance {
                allowance: it.capped()?,
                wanted: it.capped()?,
            })
        },
    ),
    ("SafeERC20FailedOperation(address)", &[Address], |_| {
        Some(Revert::TokenFailed)
    }),
    ("Panic(uint256)", &[Uint(256)], |it| {
        Some(Revert::Panic { code: it.u128()? })
    }),
    ("Error(string)", &[Text], |it| {
        Some(Revert::Reason { reason: it.text()? })
    }),
];

// Our choice: a reason is for people to read.
const MAX_UNKNOWN: usize = 256;

impl Revert {
    /// Reads revert data; what fits none of the known errors becomes [`Revert::Unknown`], cut short.
    #[must_use]
    pub fn read(data: &[u8]) -> Self {
        let known = data.split_first_chunk::<4>().and_then(|(head, rest)| {
            let (_, types, read) = ALL.iter().find(|(name, _, _)| selector(name) == *head)?;
            read(&mut Reader::new(types, rest)?)
        });
        known.unwrap_or_else(|| Self::Unknown {
            data: data.iter().copied().take(MAX_UNKNOWN).collect(),
        })
    }
}
