// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IChainLock} from "./IChainLock.sol";

/// @title One-way payment channels whose vouchers carry hash-chain locks.
///
/// A payer locks a deposit towards one payee. Off chain it signs vouchers: a cumulative `base` that is the
/// payee's without condition, and locks. A lock is worth `k * unitPrice` to whoever knows the word that
/// hashes `k` times to the lock's anchor, so every further unit of service is paid by telling one word.
///
/// There is no owner, no pause, no upgrade and no fee. Anyone may submit a claim: the money goes to the payee.
/// A channel is one storage slot; its parties are given with each call and committed to by the channel's id.
/// What is paid out is credited to a pot per account; withdrawing is the only way out, so no payee can block a close.
/// An account may fix a beneficiary: then a thief of its key can send the pot nowhere else.
///
/// Invariant: sum of pots + sum over open channels of (deposit - claimed) <= tokens held.
contract ChainLock is IChainLock, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

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

    /// A `Channel` each, packed by hand: the compiler would write a struct field by field.
    mapping(bytes32 id => uint256) private _channels;
    /// Each account's pot in the low 96 bits, its beneficiary above.
    mapping(address owner => uint256) private _accounts;

    /// A token without code is refused here; one that misbehaves is refused where it is first pulled.
    constructor(IERC20 token_) EIP712("ChainLock", "1") {
        if (address(token_).code.length == 0) revert BadParams();
        token = token_;
    }

    // ---- The pot -------------------------------------------------------------------------------------------

    function deposit(uint96 amount) external nonReentrant {
        if (amount == 0) revert ZeroAmount();
        _pull(amount);
        _credit(msg.sender, amount);
        emit Deposited(msg.sender, amount);
    }

    /// To anywhere while no beneficiary is fixed, else to that one only.
    function withdraw(address to, uint96 amount) external nonReentrant {
        address fixedTo = beneficiaries(msg.sender);
        if (fixedTo != address(0) && fixedTo != to) revert BeneficiaryFixed(fixedTo);
        _pay(msg.sender, to, amount);
    }

    /// Sends the whole pot to its beneficiary. Anyone may: it also works when the account's key is lost.
    function payOut(address owner) external nonReentrant {
        address to = beneficiaries(owner);
        if (to == address(0)) revert NoBeneficiary(owner);
        _pay(owner, to, balances(owner));
    }

    /// Fixes where a pot may go. Said once by its owner; only the beneficiary may pass it on.
    /// Such a pot opens no channels.
    function setBeneficiary(address owner, address to) external {
        _checkWayOut(to);
        address current = beneficiaries(owner);
        if (current == address(0)) current = owner;
        if (msg.sender != current) revert BeneficiaryFixed(current);
        _accounts[owner] = uint256(uint160(to)) << 96 | balances(owner);
        emit BeneficiaryChanged(owner, to);
    }

    // ---- The payer -----------------------------------------------------------------------------------------

    function open(Params calldata p, uint96 amount) external nonReentrant returns (bytes32 id) {
        id = _open(p, amount);
        _pull(amount);
    }

    function openFromBalance(Params calldata p, uint96 amount) external returns (bytes32 id) {
        id = _open(p, amount);
        _spend(amount);
    }

    function topUp(Params calldata p, uint96 amount) external nonReentrant {
        _topUp(p, amount);
        _pull(amount);
    }

    function topUpFromBalance(Params calldata p, uint96 amount) external {
        _topUp(p, amount);
        _spend(amount);
    }

    /// Closes at once at a final amount the payee signed.
    function coopClose(Params calldata p, uint96 finalAmount, uint48 notAfter, bytes32 r, bytes32 vs) external {
        if (msg.sender != p.payer) revert NotPayer(p.payer);
        if (block.timestamp > notAfter) revert TooLate(notAfter);
        bytes32 id = channelId(p);
        uint256 word = _opened(id);
        _checkSigner(p.payee, keccak256(abi.encode(PAYEE_CLOSE_TYPE, id, finalAmount, notAfter)), r, vs);
        uint96 agreed = finalAmount > _deposit(word) ? _deposit(word) : finalAmount;
        uint96 claimed = _claimed(word);
        if (agreed > claimed) {
            unchecked {
                uint96 paid = agreed - claimed;
                word += uint256(paid) << 96; // At most the deposit: fits its field.
                _credit(p.payee, paid);
            }
        }
        _close(id, p, word);
    }

    /// Starts the payee's time to claim; the rest comes back with `finishClose`.
    function startClose(Params calldata p) external {
        if (msg.sender != p.payer) revert NotPayer(p.payer);
        bytes32 id = channelId(p);
        uint256 word = _opened(id);
        if (_closesAt(word) != 0) revert IsClosing(_closesAt(word));
        uint48 closesAt = uint48(block.timestamp) + p.period;
        _channels[id] = word | uint256(closesAt) << 192;
        emit Closing(id, p.payee, closesAt);
    }

    /// Anyone may finish: the rest goes to the payer.
    function finishClose(Params calldata p) external {
        bytes32 id = channelId(p);
        uint256 word = _opened(id);
        uint48 closesAt = _closesAt(word);
        if (closesAt == 0) revert NotClosing();
        if (block.timestamp < closesAt) revert TooEarly(closesAt);
        _close(id, p, word);
    }

    // ---- The payee -----------------------------------------------------------------------------------------

    /// Pays the payee what the voucher and its words are worth beyond what was claimed before.
    function claim(Claim calldata c) external {
        bytes32 id = channelId(c.params);
        uint256 word = _opened(id);
        if (!_claim(id, word, c)) revert NothingNew(_claimed(word));
    }

    /// Claims on many channels; one that is closed or brings nothing new is passed over, so that
    /// nobody can spoil the others by claiming one of them first.
    function claimMany(Claim[] calldata claims) external {
        for (uint256 i = 0; i < claims.length; ++i) {
            bytes32 id = channelId(claims[i].params);
            uint256 word = _channels[id];
            if (_flags(word) == OPEN) _claim(id, word, claims[i]);
        }
    }

    function closeByPayee(Params calldata p) external {
        if (msg.sender != p.payee) revert NotPayee(p.payee);
        bytes32 id = channelId(p);
        _close(id, p, _opened(id));
    }

    // ---- Views ---------------------------------------------------------------------------------------------

    function channels(bytes32 id) external view returns (Channel memory) {
        uint256 word = _channels[id];
        return Channel(_deposit(word), _claimed(word), _closesAt(word), _flags(word));
    }

    /// What an account may withdraw, or open and top up channels from.
    function balances(address owner) public view returns (uint96) {
        return uint96(_accounts[owner]);
    }

    /// Where an account's pot may go; zero while it is free.
    function beneficiaries(address owner) public view returns (address) {
        return address(uint160(_accounts[owner] >> 96));
    }

    /// keccak256(abi.encode(chain id, this contract, p)).
    function channelId(Params calldata p) public view returns (bytes32 id) {
        // As it stands: a field with bits beyond its type makes an id that `open` refuses to make.
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, chainid())
            mstore(add(m, 0x20), address())
            calldatacopy(add(m, 0x40), p, 0x80)
            id := keccak256(m, 0xc0)
        }
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
        if (_channels[id] != 0) revert IdUsed(id);
        _channels[id] = uint256(OPEN) << 240 | amount;
        emit Opened(id, p.payer, p.payee, p.period, p.salt, amount);
    }

    function _topUp(Params calldata p, uint96 amount) private {
        if (msg.sender != p.payer) revert NotPayer(p.payer);
        if (amount == 0) revert ZeroAmount();
        bytes32 id = channelId(p);
        uint256 word = _opened(id);
        if (_closesAt(word) != 0) revert IsClosing(_closesAt(word));
        uint96 total = _deposit(word) + amount; // Checked: reverts beyond 2^96 - 1.
        _channels[id] = word + amount;
        emit ToppedUp(id, p.payee, total);
    }

    function _claim(bytes32 id, uint256 word, Claim calldata c) private returns (bool news) {
        Params calldata p = c.params;
        uint256 total = _worth(id, p.payer, c);
        (uint96 held, uint96 claimed) = (_deposit(word), _claimed(word));
        if (total > held) total = held;
        if (total <= claimed) return false;
        unchecked {
            uint96 paid = uint96(total) - claimed;
            _channels[id] = word + (uint256(paid) << 96); // At most the deposit: fits its field.
            _credit(p.payee, paid);
            emit Claimed(id, p.payee, uint96(total), paid);
        }
        return true;
    }

    /// What the payer signed, with the words told of it.
    function _worth(bytes32 id, address payer, Claim calldata c) private returns (uint256) {
        Lock[] calldata locks = c.locks;
        if (locks.length > MAX_LOCKS) revert TooManyLocks(locks.length);
        bytes32 locksHash = locks.length == 0 ? bytes32(0) : keccak256(abi.encode(locks));
        uint96 base = c.base;
        _checkSigner(payer, keccak256(abi.encode(VOUCHER_TYPE, id, c.seq, base, locksHash)), c.r, c.vs);
        return base + _unlocked(id, locks, c.reveals);
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
            // Eight at a time: the loop costs more than the hash.
            for {} gt(k, 7) { k := sub(k, 8) } {
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
                mstore(0x00, keccak256(0x00, 0x20))
            }
            for {} k { k := sub(k, 1) } { mstore(0x00, keccak256(0x00, 0x20)) }
            result := mload(0x00)
        }
    }

    function _close(bytes32 id, Params calldata p, uint256 word) private {
        uint96 claimed = _claimed(word);
        uint96 returned = _deposit(word) - claimed;
        _channels[id] = uint256(CLOSED) << 240 | uint240(word);
        if (returned != 0) _credit(p.payer, returned);
        emit Closed(id, p.payee, claimed, returned);
    }

    function _opened(bytes32 id) private view returns (uint256 word) {
        word = _channels[id];
        if (_flags(word) != OPEN) revert NotOpen(id);
    }

    function _deposit(uint256 word) private pure returns (uint96) {
        return uint96(word);
    }

    function _claimed(uint256 word) private pure returns (uint96) {
        return uint96(word >> 96);
    }

    function _closesAt(uint256 word) private pure returns (uint48) {
        return uint48(word >> 192);
    }

    function _flags(uint256 word) private pure returns (uint16) {
        return uint16(word >> 240);
    }

    function _checkSigner(address expected, bytes32 structHash, bytes32 r, bytes32 vs) private view {
        (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecover(_hashTypedDataV4(structHash), r, vs);
        if (err != ECDSA.RecoverError.NoError || signer != expected) revert BadSignature(expected);
    }

    function _credit(address owner, uint96 amount) private {
        uint256 account = _accounts[owner];
        if (amount > type(uint96).max - uint96(account)) revert PotFull(owner);
        unchecked {
            _accounts[owner] = account + amount; // The sum fits: the beneficiary above is not touched.
        }
    }

    function _debit(address owner, uint96 amount) private {
        uint256 account = _accounts[owner];
        if (amount > uint96(account)) revert Insufficient(uint96(account), amount);
        unchecked {
            _accounts[owner] = account - amount;
        }
    }

    /// From the sender's pot into a channel: not out of a pot whose way is fixed.
    function _spend(uint96 amount) private {
        address fixedTo = beneficiaries(msg.sender);
        if (fixedTo != address(0)) revert BeneficiaryFixed(fixedTo);
        _debit(msg.sender, amount);
    }

    function _pay(address owner, address to, uint96 amount) private {
        if (amount == 0) revert ZeroAmount();
        _checkWayOut(to);
        _debit(owner, amount);
        emit Withdrawn(owner, to, amount);
        token.safeTransfer(to, amount);
    }

    /// Tokens sent to nobody, or to this contract itself, would be nobody's.
    function _checkWayOut(address to) private view {
        if (to == address(0) || to == address(this)) revert BadParams();
    }

    /// Refuses tokens that deliver another amount than asked for.
    function _pull(uint96 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert WrongDelta(received, amount);
    }
}
