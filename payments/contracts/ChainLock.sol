// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title One-way payment channels whose vouchers carry hash-chain locks.
///
/// A payer locks a deposit towards one payee. Off chain it signs vouchers: a cumulative `base` that is the
/// payee's without condition, and locks. A lock is worth `k * unitPrice` to whoever knows the word that
/// hashes `k` times to the lock's anchor, so every further unit of service is paid by telling one word.
///
/// There is no owner, no pause, no upgrade and no fee. Anyone may submit a claim: the money goes to the payee.
/// A channel is one storage slot; its parties are given with each call and committed to by the channel's id.
/// What is paid out is credited to `balances`; `withdraw` is the only way out, so no payee can block a close.
///
/// Invariant: sum of balances + sum over open channels of (deposit - claimed) <= tokens held.
contract ChainLock is EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// Who pays whom; `period` is the payee's time to claim once the payer wants out, in seconds.
    struct Params {
        address payer;
        address payee;
        uint32 period;
        uint64 salt;
    }

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
    error Insufficient(uint256 balance, uint256 wanted);
    error WrongDelta(uint256 received, uint256 wanted);
    error BadSignature(address expected);
    error TooManyLocks(uint256 locks);
    error BadReveal(uint256 index);
    error LockExpired(uint256 index, uint48 expiry);
    error NothingNew(uint96 claimed);

    event Deposited(address indexed owner, uint256 amount);
    event Withdrawn(address indexed owner, address indexed to, uint256 amount);
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
    event Closed(bytes32 indexed id, address indexed payee, uint96 claimed, uint96 returned);

    uint32 public constant MIN_PERIOD = 1 hours;
    uint32 public constant MAX_PERIOD = 30 days;
    uint256 public constant MAX_LOCKS = 16;

    uint16 private constant OPEN = 1;
    /// Stays for ever: an id that was closed never opens again, so its vouchers stay dead.
    uint16 private constant CLOSED = 2;

    bytes32 private constant VOUCHER_TYPE =
        keccak256("Voucher(bytes32 channelId,uint64 seq,uint96 base,bytes32 locksHash)");
    bytes32 private constant PAYEE_CLOSE_TYPE =
        keccak256("PayeeClose(bytes32 channelId,uint96 finalAmount,uint48 notAfter)");

    /// The one token of this deployment.
    IERC20 public immutable token;

    mapping(bytes32 id => Channel) public channels;
    /// What each account may withdraw, or open and top up channels from.
    mapping(address owner => uint256) public balances;

    constructor(IERC20 token_) EIP712("ChainLock", "1") {
        if (address(token_) == address(0)) revert BadParams();
        token = token_;
    }

    // ---- The pot -------------------------------------------------------------------------------------------

    function deposit(uint256 amount) external nonReentrant {
        if (amount == 0) revert ZeroAmount();
        _pull(amount);
        balances[msg.sender] += amount;
        emit Deposited(msg.sender, amount);
    }

    function withdraw(address to, uint256 amount) external nonReentrant {
        if (amount == 0) revert ZeroAmount();
        if (to == address(0)) revert BadParams();
        _debit(amount);
        emit Withdrawn(msg.sender, to, amount);
        token.safeTransfer(to, amount);
    }

    // ---- The payer -----------------------------------------------------------------------------------------

    function open(Params calldata p, uint96 amount) external nonReentrant returns (bytes32 id) {
        id = _open(p, amount);
        _pull(amount);
    }

    function openFromBalance(Params calldata p, uint96 amount) external nonReentrant returns (bytes32 id) {
        id = _open(p, amount);
        _debit(amount);
    }

    function topUp(Params calldata p, uint96 amount) external nonReentrant {
        _topUp(p, amount);
        _pull(amount);
    }

    function topUpFromBalance(Params calldata p, uint96 amount) external nonReentrant {
        _topUp(p, amount);
        _debit(amount);
    }

    /// Closes at once at a final amount the payee signed.
    function coopClose(Params calldata p, uint96 finalAmount, uint48 notAfter, bytes32 r, bytes32 vs) external {
        if (msg.sender != p.payer) revert NotPayer(p.payer);
        if (block.timestamp > notAfter) revert TooLate(notAfter);
        bytes32 id = channelId(p);
        Channel memory c = _opened(id);
        _checkSigner(p.payee, keccak256(abi.encode(PAYEE_CLOSE_TYPE, id, finalAmount, notAfter)), r, vs);
        uint96 claimed = finalAmount > c.deposit ? c.deposit : finalAmount;
        if (claimed > c.claimed) {
            uint96 paid = claimed - c.claimed;
            c.claimed = claimed;
            balances[p.payee] += paid;
            emit Claimed(id, p.payee, claimed, paid);
        }
        _close(id, p, c);
    }

    /// Starts the payee's time to claim; the rest comes back with `finishClose`.
    function startClose(Params calldata p) external {
        if (msg.sender != p.payer) revert NotPayer(p.payer);
        bytes32 id = channelId(p);
        Channel memory c = _opened(id);
        if (c.closesAt != 0) revert IsClosing(c.closesAt);
        uint48 closesAt = uint48(block.timestamp) + p.period;
        channels[id].closesAt = closesAt;
        emit Closing(id, p.payee, closesAt);
    }

    /// Anyone may finish: the rest goes to the payer.
    function finishClose(Params calldata p) external {
        bytes32 id = channelId(p);
        Channel memory c = _opened(id);
        if (c.closesAt == 0) revert NotClosing();
        if (block.timestamp < c.closesAt) revert TooEarly(c.closesAt);
        _close(id, p, c);
    }

    // ---- The payee -----------------------------------------------------------------------------------------

    /// Pays the payee what the voucher and its words are worth beyond what was claimed before.
    function claim(Claim calldata c) external {
        bytes32 id = channelId(c.params);
        _opened(id);
        if (!_claim(id, c)) revert NothingNew(channels[id].claimed);
    }

    /// Claims on many channels; one that is closed or brings nothing new is passed over, so that
    /// nobody can spoil the others by claiming one of them first.
    function claimMany(Claim[] calldata claims) external {
        for (uint256 i = 0; i < claims.length; ++i) {
            bytes32 id = channelId(claims[i].params);
            if (channels[id].flags == OPEN) _claim(id, claims[i]);
        }
    }

    function closeByPayee(Params calldata p) external {
        if (msg.sender != p.payee) revert NotPayee(p.payee);
        bytes32 id = channelId(p);
        _close(id, p, _opened(id));
    }

    // ---- Views ---------------------------------------------------------------------------------------------

    function channelId(Params calldata p) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), p));
    }

    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    // ---- Inner parts ---------------------------------------------------------------------------------------

    function _open(Params calldata p, uint96 amount) private returns (bytes32 id) {
        if (msg.sender != p.payer) revert NotPayer(p.payer);
        if (p.payee == address(0) || p.payee == p.payer) revert BadParams();
        if (p.period < MIN_PERIOD || p.period > MAX_PERIOD) revert BadParams();
        if (amount == 0) revert ZeroAmount();
        id = channelId(p);
        if (channels[id].flags != 0) revert IdUsed(id);
        channels[id] = Channel({deposit: amount, claimed: 0, closesAt: 0, flags: OPEN});
        emit Opened(id, p.payer, p.payee, p.period, p.salt, amount);
    }

    function _topUp(Params calldata p, uint96 amount) private {
        if (msg.sender != p.payer) revert NotPayer(p.payer);
        if (amount == 0) revert ZeroAmount();
        bytes32 id = channelId(p);
        Channel memory c = _opened(id);
        if (c.closesAt != 0) revert IsClosing(c.closesAt);
        uint96 total = c.deposit + amount; // Checked: reverts beyond 2^96 - 1.
        channels[id].deposit = total;
        emit ToppedUp(id, p.payee, total);
    }

    function _claim(bytes32 id, Claim calldata c) private returns (bool news) {
        if (c.locks.length > MAX_LOCKS) revert TooManyLocks(c.locks.length);
        bytes32 locksHash = c.locks.length == 0 ? bytes32(0) : keccak256(abi.encode(c.locks));
        _checkSigner(c.params.payer, keccak256(abi.encode(VOUCHER_TYPE, id, c.seq, c.base, locksHash)), c.r, c.vs);
        uint256 total = c.base + _unlocked(id, c.locks, c.reveals);
        Channel memory channel = channels[id];
        if (total > channel.deposit) total = channel.deposit;
        if (total <= channel.claimed) return false;
        uint96 paid = uint96(total) - channel.claimed;
        channels[id].claimed = uint96(total);
        balances[c.params.payee] += paid;
        emit Claimed(id, c.params.payee, uint96(total), paid);
        return true;
    }

    /// Indices must rise strictly: no lock can be counted twice.
    function _unlocked(bytes32 id, Lock[] calldata locks, Reveal[] calldata reveals) private returns (uint256 sum) {
        uint256 next = 0;
        for (uint256 i = 0; i < reveals.length; ++i) {
            Reveal calldata it = reveals[i];
            if (it.index < next || it.index >= locks.length) revert BadReveal(i);
            next = uint256(it.index) + 1;
            Lock calldata lock = locks[it.index];
            if (it.k == 0 || it.k > lock.units) revert BadReveal(i);
            if (lock.expiry != 0 && block.timestamp >= lock.expiry) revert LockExpired(it.index, lock.expiry);
            if (_iterate(it.word, it.k) != lock.anchor) revert BadReveal(i);
            unchecked {
                sum += uint256(lock.unitPrice) * it.k; // At most 16 * 2^128.
            }
            emit Revealed(id, lock.anchor, it.k, it.word);
        }
    }

    function _iterate(bytes32 word, uint256 k) private pure returns (bytes32 result) {
        assembly ("memory-safe") {
            mstore(0x00, word)
            for { let i := 0 } lt(i, k) { i := add(i, 1) } { mstore(0x00, keccak256(0x00, 0x20)) }
            result := mload(0x00)
        }
    }

    function _close(bytes32 id, Params calldata p, Channel memory c) private {
        uint96 returned = c.deposit - c.claimed;
        channels[id] = Channel({deposit: c.deposit, claimed: c.claimed, closesAt: c.closesAt, flags: CLOSED});
        if (returned != 0) balances[p.payer] += returned;
        emit Closed(id, p.payee, c.claimed, returned);
    }

    function _opened(bytes32 id) private view returns (Channel memory c) {
        c = channels[id];
        if (c.flags != OPEN) revert NotOpen(id);
    }

    function _checkSigner(address expected, bytes32 structHash, bytes32 r, bytes32 vs) private view {
        (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecover(_hashTypedDataV4(structHash), r, vs);
        if (err != ECDSA.RecoverError.NoError || signer != expected) revert BadSignature(expected);
    }

    function _debit(uint256 amount) private {
        uint256 balance = balances[msg.sender];
        if (balance < amount) revert Insufficient(balance, amount);
        unchecked {
            balances[msg.sender] = balance - amount;
        }
    }

    /// Refuses tokens that deliver another amount than asked for.
    function _pull(uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert WrongDelta(received, amount);
    }
}
