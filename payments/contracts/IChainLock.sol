// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What the payment contract speaks: its structs, its refusals, its events.
interface IChainLock {
    /// Who pays whom; `period` is the payee's time to claim once the payer wants out, in seconds.
    struct Params {
        address payer;
        address payee;
        uint32 period;
        uint64 salt;
    }

    /// In storage: one word, these fields from the lowest bit up.
    struct Channel {
        uint96 deposit;
        uint96 claimed;
        uint48 closesAt;
        uint16 flags;
    }

    /// `expiry` is a block timestamp in seconds; 0 is never.
    struct Lock {
        bytes32 anchor;
        uint96 unitPrice;
        uint32 units;
        uint48 expiry;
    }

    /// A word that hashes `k` times to the anchor of lock `index`.
    struct Reveal {
        uint16 index;
        uint32 k;
        bytes32 word;
    }

    /// A payer's voucher with what is known of its words. (r, vs) is the ERC-2098 form of the signature.
    struct Claim {
        Params params;
        uint64 seq;
        uint96 base;
        Lock[] locks;
        Reveal[] reveals;
        bytes32 r;
        bytes32 vs;
    }

    error BadParams();
    error NotPayer(address payer);
    error NotPayee(address payee);
    error NotOpen(bytes32 id);
    error IdUsed(bytes32 id);
    error IsClosing(uint48 closesAt);
    error NotClosing();
    error TooEarly(uint48 closesAt);
    error TooLate(uint48 notAfter);
    error ZeroAmount();
    error Insufficient(uint96 balance, uint96 wanted);
    error PotFull(address owner);
    error BeneficiaryFixed(address beneficiary);
    error NoBeneficiary(address owner);
    error WrongDelta(uint256 received, uint256 wanted);
    error BadSignature(address expected);
    error TooManyLocks(uint256 locks);
    error BadReveal(uint256 index);
    error LockExpired(uint256 index, uint48 expiry);
    error NothingNew(uint96 claimed);

    event Deposited(address indexed owner, uint96 amount);
    event Withdrawn(address indexed owner, address indexed to, uint96 amount);
    event BeneficiaryChanged(address indexed owner, address indexed beneficiary);
    event Opened(
        bytes32 indexed id, address indexed payer, address indexed payee, uint32 period, uint64 salt, uint96 deposit
    );
    /// `deposit` is the new total.
    event ToppedUp(bytes32 indexed id, address indexed payee, uint96 deposit);
    /// `claimed` is the new total, `paid` what this claim added.
    event Claimed(bytes32 indexed id, address indexed payee, uint96 claimed, uint96 paid);
    event Revealed(bytes32 indexed id, bytes32 indexed anchor, uint32 k, bytes32 word);
    event Closing(bytes32 indexed id, address indexed payee, uint48 closesAt);
    /// `claimed` went to the payee over the channel's life, `returned` goes back to the payer.
    /// What an agreed close pays is told here alone.
    event Closed(bytes32 indexed id, address indexed payee, uint96 claimed, uint96 returned);
}
