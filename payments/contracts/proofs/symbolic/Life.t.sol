// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Any} from "./Any.sol";
import {IChainLock} from "warren/IChainLock.sol";

/// @title Proved: a channel lives once, is claimed by what was signed and told, and ends in its time.
contract LifeProofs is Any {
    /// The invariant that the other proofs assume, kept by every call; and on chain the claimed never falls.
    function check_the_invariant_is_kept(
        uint8 which,
        address who,
        IChainLock.Params memory p,
        uint96 amount,
        One memory it
    ) public {
        vm.assume(which <= 6);
        assumeSound(p);
        IChainLock.Channel memory c = channel(p);
        make(who, some(which, p, amount, it));
        IChainLock.Channel memory d = channel(p);
        assert(sound(p));
        assert(d.claimed >= c.claimed && d.deposit >= c.deposit && d.flags >= c.flags);
    }

    /// Tombstone: whatever is called on a closed channel, its word never changes again.
    function check_a_closed_channel_stays_as_it_is(
        uint8 which,
        address who,
        IChainLock.Params memory p,
        uint96 amount,
        One memory it
    ) public {
        vm.assume(which <= 6);
        IChainLock.Channel memory c = channel(p);
        vm.assume(c.flags == CLOSED);
        bool done = make(who, some(which, p, amount, it));
        assert(!done);
    }

    /// Nor by the ways in that bring tokens.
    function check_a_closed_channel_takes_no_tokens(bool topUp, IChainLock.Params memory p, uint96 amount) public {
        vm.assume(channel(p).flags == CLOSED);
        bool done = make(
            p.payer, topUp ? abi.encodeCall(lock.topUp, (p, amount)) : abi.encodeCall(lock.open, (p, amount))
        );
        assert(!done);
    }

    /// No early refund: alone, a payer ends a channel only after the window it announced.
    function check_no_early_refund(address who, IChainLock.Params memory p, uint48 now_) public {
        assumeSound(p);
        vm.warp(now_);
        IChainLock.Channel memory c = channel(p);
        if (make(who, abi.encodeCall(lock.finishClose, (p)))) {
            assert(c.flags == OPEN && c.closesAt != 0 && now_ >= c.closesAt);
            assert(channel(p).claimed == c.claimed);
        }
    }

    /// The window is the channel's, from the moment it is announced, and is announced once.
    function check_the_window_is_whole(address who, IChainLock.Params memory p, uint40 now_) public {
        assumeSound(p);
        vm.warp(now_);
        IChainLock.Channel memory c = channel(p);
        if (make(who, abi.encodeCall(lock.startClose, (p)))) {
            assert(who == p.payer && c.closesAt == 0);
            assert(channel(p).closesAt == uint256(now_) + p.period);
            assert(channel(p).deposit == c.deposit && channel(p).claimed == c.claimed);
        }
    }

    /// What opens is what was asked for: allowed parties, an allowed window, an id never used.
    function check_only_what_is_allowed_opens(address who, IChainLock.Params memory p, uint96 amount) public {
        IChainLock.Channel memory c = channel(p);
        if (make(who, abi.encodeCall(lock.openFromBalance, (p, amount)))) {
            assert(c.flags == 0 && c.deposit == 0);
            assert(who == p.payer && p.payee != address(0) && p.payee != p.payer);
            assert(p.period >= 1 hours && p.period <= 30 days && amount > 0);
            IChainLock.Channel memory d = channel(p);
            assert(d.deposit == amount && d.claimed == 0 && d.closesAt == 0 && d.flags == OPEN);
        }
    }

    /// Only the parties act: a stranger may claim for the payee and finish, and nothing else.
    function check_a_stranger_does_nothing(
        uint8 which,
        address who,
        IChainLock.Params memory p,
        uint96 amount,
        One memory it
    ) public {
        vm.assume(which <= 4);
        vm.assume(who != p.payer && who != p.payee);
        assert(!make(who, some(which, p, amount, it)));
    }

    /// A claim is the payer's signature over exactly this channel, base and these locks, in the chain's domain.
    function check_a_claim_is_signed_by_the_payer(address who, IChainLock.Params memory p, One memory it) public {
        IChainLock.Claim memory c = claimOf(p, it);
        if (!make(who, abi.encodeCall(lock.claim, (c)))) return;
        bytes32 kind = keccak256("Voucher(bytes32 channelId,uint64 seq,uint96 base,bytes32 locksHash)");
        bytes32 hash =
            keccak256(abi.encode(kind, lock.channelId(p), it.seq, it.base, keccak256(abi.encode(c.locks))));
        assert(signer(hash, it) == p.payer && p.payer != address(0));
    }

    function signer(bytes32 hash, One memory it) private view returns (address) {
        uint256 vs = uint256(it.vs);
        bytes32 s = bytes32(vs & (type(uint256).max >> 1));
        bytes32 digest = keccak256(bytes.concat("\x19\x01", lock.domainSeparator(), hash));
        return ecrecover(digest, uint8((vs >> 255) + 27), it.r, s);
    }

    /// An agreed close is the payee's signature over exactly this amount and deadline, and in time.
    function check_an_agreement_is_signed_by_the_payee(
        IChainLock.Params memory p,
        uint96 amount,
        uint48 notAfter,
        One memory it
    ) public {
        assumeSound(p);
        IChainLock.Channel memory c = channel(p);
        if (!make(p.payer, abi.encodeCall(lock.coopClose, (p, amount, notAfter, it.r, it.vs)))) return;
        bytes32 kind = keccak256("PayeeClose(bytes32 channelId,uint96 finalAmount,uint48 notAfter)");
        assert(signer(keccak256(abi.encode(kind, lock.channelId(p), amount, notAfter)), it) == p.payee);
        assert(NOW <= notAfter);
        uint96 total = amount > c.deposit ? c.deposit : amount;
        assert(channel(p).claimed == (total > c.claimed ? total : c.claimed) && channel(p).flags == CLOSED);
    }

    /// Words: a claim with a reveal succeeds only with a word of that lock, counted as sold, in its time.
    function check_a_word_opens_its_own_lock(IChainLock.Params memory p, One memory it, uint48 now_) public {
        vm.warp(now_);
        if (!make(p.payee, abi.encodeCall(lock.claim, (claimOf(p, it))))) return;
        assert(it.reveal.index == 0 && it.reveal.k >= 1 && it.reveal.k <= it.lock.units);
        assert(it.lock.expiry == 0 || now_ < it.lock.expiry);
        bytes32 word = it.reveal.word;
        for (uint256 i = 0; i < 2; ++i) {
            if (i < it.reveal.k) word = keccak256(abi.encode(word));
        }
        assert(word == it.lock.anchor);
    }

    /// No double count: of two reveals, the second names a later lock, or nothing is paid.
    function check_no_lock_counts_twice(IChainLock.Params memory p, One memory it, One memory more) public {
        vm.assume(it.reveal.k == 1 && more.reveal.k == 1);
        IChainLock.Claim memory c = baseOf(p, it);
        c.locks = new IChainLock.Lock[](2);
        (c.locks[0], c.locks[1]) = (it.lock, more.lock);
        c.reveals = new IChainLock.Reveal[](2);
        (c.reveals[0], c.reveals[1]) = (placed(it.reveal), placed(more.reveal));
        assumeSound(p);
        IChainLock.Channel memory before = channel(p);
        if (!make(p.payee, abi.encodeCall(lock.claim, (c)))) return;
        assert(it.reveal.index == 0 && more.reveal.index == 1);
        uint256 worth = uint256(it.base) + it.lock.unitPrice + more.lock.unitPrice;
        assert(channel(p).claimed == (worth < before.deposit ? worth : before.deposit));
    }
}
