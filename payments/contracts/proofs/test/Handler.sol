// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {ChainLock} from "warren/ChainLock.sol";
import {IChainLock} from "warren/IChainLock.sol";
import {DevToken} from "warren/DevToken.sol";

/// @title Random calls by people who mostly know what they do, and a ledger beside the contract's.
///
/// Each call is made as it stands: a refusal is caught and counted, so that a fuzzer that only ever
/// knocks at closed doors is seen.
contract Handler is Base {
    uint32 private constant UNITS = 8;

    /// What the ledger holds of a channel.
    struct Book {
        bool used;
        bool closed;
        uint96 deposit;
        uint96 claimed;
        uint48 closesAt;
    }

    mapping(uint64 salt => Book) public books;
    uint64[] public salts;
    uint256 public calls;
    uint256 public reverts;
    /// Tokens that went in and came out.
    uint256 public paidIn;
    uint256 public paidOut;
    /// The payee's and the payer's pots, by the ledger.
    uint256 public payeeHas;
    uint256 public payerHas;
    bool public broken;
    string public how;

    constructor(ChainLock lock_, DevToken token_, address payer_, address payee_) {
        (lock, token, payer, payee) = (lock_, token_, payer_, payee_);
        stranger = address(0x57A6);
    }

    function setUp() public override {}

    function note(string memory what) private {
        if (!broken) (broken, how) = (true, what);
    }

    /// Makes the call; the ledger must agree on whether it is allowed.
    function make(address who, bytes memory data, bool allowed, string memory what) private returns (bool done) {
        ++calls;
        vm.prank(who);
        (done,) = address(lock).call(data);
        if (!done) ++reverts;
        if (done != allowed) note(what);
    }

    function live(uint64 salt) private view returns (bool) {
        return books[salt].used && !books[salt].closed;
    }

    /// Mostly one that is open; if there is none, one is opened, so that few calls knock at closed doors.
    function pick(uint256 seed) private returns (uint64) {
        uint256 n = salts.length;
        if (seed % 8 != 0) {
            for (uint256 i = 0; i < n; ++i) {
                uint64 salt = salts[(seed / 8 + i) % n];
                if (live(salt)) return salt;
            }
            this.open(1, 777, false);
            return salts[n];
        }
        return n == 0 ? 1 : salts[(seed / 8) % n];
    }

    function count() external view returns (uint256) {
        return salts.length;
    }

    function small(uint96 amount) private pure returns (uint96) {
        return amount % 16 == 0 ? amount / 16 % 2 : 1 + amount % 1000;
    }

    function deposit(uint96 amount) external {
        amount = small(amount);
        fund(payer, amount);
        if (!make(payer, abi.encodeCall(lock.deposit, (amount)), amount > 0, "deposit")) return;
        (paidIn, payerHas) = (paidIn + amount, payerHas + amount);
    }

    function open(uint256 seed, uint96 amount, bool fromPot) external {
        // Mostly a new one.
        uint64 salt = seed % 8 == 0 && salts.length > 0 ? salts[(seed / 8) % salts.length] : uint64(salts.length);
        amount = small(amount);
        fund(payer, amount);
        fromPot = fromPot && payerHas > 0;
        if (fromPot && amount % 8 != 0) amount = uint96(1 + amount % payerHas);
        bool allowed = amount > 0 && !books[salt].used && (!fromPot || amount <= payerHas);
        bytes memory data = fromPot
            ? abi.encodeCall(lock.openFromBalance, (params(salt), amount))
            : abi.encodeCall(lock.open, (params(salt), amount));
        if (!make(payer, data, allowed, "open")) return;
        salts.push(salt);
        books[salt] = Book(true, false, amount, 0, 0);
        if (fromPot) payerHas -= amount;
        else paidIn += amount;
    }

    function topUp(uint256 seed, uint96 amount, bool fromPot) external {
        uint64 salt = pick(seed);
        amount = small(amount);
        fund(payer, amount);
        fromPot = fromPot && payerHas > 0;
        if (fromPot && amount % 8 != 0) amount = uint96(1 + amount % payerHas);
        bool allowed = amount > 0 && live(salt) && books[salt].closesAt == 0 && (!fromPot || amount <= payerHas);
        bytes memory data = fromPot
            ? abi.encodeCall(lock.topUpFromBalance, (params(salt), amount))
            : abi.encodeCall(lock.topUp, (params(salt), amount));
        if (!make(payer, data, allowed, "topUp")) return;
        books[salt].deposit += amount;
        if (fromPot) payerHas -= amount;
        else paidIn += amount;
    }

    /// By anyone: a base mostly beyond the claimed, a lock that may be late, words that mostly fit.
    function claim(uint256 seed, uint96 more, uint32 k, uint48 life, bool wrong) external {
        uint64 salt = pick(seed);
        k = k % (UNITS + 1);
        uint48 expiry = life % 4 == 0 ? uint48(block.timestamp + life / 4 % 3) : 0;
        bool tells = k > 0;
        wrong = wrong && tells && seed % 16 == 1;
        bytes32 word = keccak256(abi.encode(salt));
        IChainLock.Lock memory it = lockOf(word, 7, UNITS, expiry);
        IChainLock.Reveal memory told = reveal(0, wrong ? ~word : word, UNITS, k);
        uint96 base = more % 8 == 0 ? more / 8 % 2000 : books[salt].claimed + more % 200;
        uint256 total = uint256(base) + 7 * uint256(k);
        if (total > books[salt].deposit) total = books[salt].deposit;
        bool fits = !tells || (!wrong && (expiry == 0 || block.timestamp < expiry));
        bool allowed = live(salt) && fits && total > books[salt].claimed;
        bytes memory data =
            abi.encodeCall(lock.claim, (claimOf(params(salt), base, one(it), tells ? one(told) : noReveals())));
        if (!make(seed % 2 == 0 ? payee : stranger, data, allowed, "claim")) return;
        payeeHas += total - books[salt].claimed;
        books[salt].claimed = uint96(total);
    }

    function startClose(uint256 seed, bool byPayee) external {
        uint64 salt = pick(seed);
        byPayee = byPayee && seed % 16 == 0;
        bool allowed = live(salt) && books[salt].closesAt == 0 && !byPayee;
        if (!make(byPayee ? payee : payer, abi.encodeCall(lock.startClose, (params(salt))), allowed, "startClose")) {
            return;
        }
        books[salt].closesAt = uint48(block.timestamp) + PERIOD;
    }

    function close(uint64 salt, uint96 claimed) private {
        Book storage it = books[salt];
        payeeHas += claimed - it.claimed;
        payerHas += it.deposit - claimed;
        (it.claimed, it.closed) = (claimed, true);
    }

    function finishClose(uint256 seed, uint32 wait) external {
        uint64 salt = pick(seed);
        Book memory it = books[salt];
        if (it.closesAt != 0 && wait % 4 != 0) vm.warp(it.closesAt + wait % 100);
        bool allowed = live(salt) && it.closesAt != 0 && block.timestamp >= it.closesAt;
        if (make(stranger, abi.encodeCall(lock.finishClose, (params(salt))), allowed, "finishClose")) {
            close(salt, it.claimed);
        }
    }

    function closeByPayee(uint256 seed) external {
        uint64 salt = pick(seed);
        if (make(payee, abi.encodeCall(lock.closeByPayee, (params(salt))), live(salt), "closeByPayee")) {
            close(salt, books[salt].claimed);
        }
    }

    function coopClose(uint256 seed, uint96 amount, uint8 late) external {
        uint64 salt = pick(seed);
        Book memory it = books[salt];
        amount = amount % 1500;
        uint48 notAfter = uint48(block.timestamp) - (late % 8 == 0 ? 1 : 0);
        (bytes32 r, bytes32 vs) = consent(params(salt), amount, notAfter);
        bool allowed = live(salt) && late % 8 != 0;
        bytes memory data = abi.encodeCall(lock.coopClose, (params(salt), amount, notAfter, r, vs));
        if (!make(payer, data, allowed, "coopClose")) return;
        uint96 total = amount > it.deposit ? it.deposit : amount;
        close(salt, total > it.claimed ? total : it.claimed);
    }

    function withdraw(bool byPayee, uint96 amount) external {
        uint256 has = byPayee ? payeeHas : payerHas;
        amount = has == 0 || amount % 8 == 0 ? small(amount / 8) : uint96(1 + amount % has);
        address who = byPayee ? payee : payer;
        bool allowed = amount > 0 && amount <= has;
        if (!make(who, abi.encodeCall(lock.withdraw, (stranger, amount)), allowed, "withdraw")) return;
        paidOut += amount;
        if (byPayee) payeeHas -= amount;
        else payerHas -= amount;
    }

    function wait(uint32 span) external {
        vm.warp(block.timestamp + span % 40_000);
    }
}
