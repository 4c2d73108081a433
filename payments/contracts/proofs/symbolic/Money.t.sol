// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Any} from "./Any.sol";
import {IChainLock} from "warren/IChainLock.sol";

/// @title Proved: no call makes or loses money, and nobody gains but who should.
contract MoneyProofs is Any {
    /// Conservation: what is owed is the same before and after, whatever is called, by whomever.
    function conserves(uint8 which, address who, IChainLock.Params memory p, uint96 amount, One memory it) private {
        assumeSound(p);
        uint256 before = owed(p);
        if (make(who, some(which, p, amount, it))) assert(owed(p) == before);
    }

    function check_conservation_when_opened(address who, IChainLock.Params memory p, uint96 amount, One memory it)
        public
    {
        conserves(0, who, p, amount, it);
    }

    function check_conservation_when_topped_up(address who, IChainLock.Params memory p, uint96 amount, One memory it)
        public
    {
        conserves(1, who, p, amount, it);
    }

    /// Said part by part, which the solver finds easier: what one gets is exactly what the channel no longer owes.
    function check_conservation_when_both_agree(IChainLock.Params memory p, uint96 amount, One memory it) public {
        assumeSound(p);
        IChainLock.Channel memory c = channel(p);
        (uint96 payee, uint96 payer) = (lock.balances(p.payee), lock.balances(p.payer));
        if (!make(p.payer, some(2, p, amount, it))) return;
        uint96 claimed = channel(p).claimed;
        assert(claimed >= c.claimed && claimed <= c.deposit);
        assert(lock.balances(p.payee) - payee == claimed - c.claimed);
        assert(lock.balances(p.payer) - payer == c.deposit - claimed);
    }

    function check_conservation_when_one_closes(
        uint8 which,
        address who,
        IChainLock.Params memory p,
        uint96 amount,
        One memory it
    ) public {
        vm.assume(which >= 3 && which <= 5);
        conserves(which, who, p, amount, it);
    }

    function check_conservation_when_claimed(address who, IChainLock.Params memory p, uint96 amount, One memory it)
        public
    {
        conserves(6, who, p, amount, it);
    }

    /// Money in: what is owed grows by what came in, to the wei.
    function check_money_in(uint8 which, IChainLock.Params memory p, uint96 amount) public {
        vm.assume(which <= 2);
        vm.assume(p.payer != address(0) && p.payer != address(lock));
        assumeSound(p);
        token.mint(p.payer, amount);
        vm.prank(p.payer);
        token.approve(address(lock), amount);
        (uint256 before, uint256 held) = (owed(p), token.balanceOf(address(lock)));
        bytes memory data = which == 0
            ? abi.encodeCall(lock.deposit, (amount))
            : which == 1 ? abi.encodeCall(lock.open, (p, amount)) : abi.encodeCall(lock.topUp, (p, amount));
        if (make(p.payer, data)) {
            assert(owed(p) == before + amount);
            assert(token.balanceOf(address(lock)) == held + amount);
        }
    }

    /// Money out: exactly from the pot of the one who asked, or of the one whose way is fixed.
    function check_money_out(address who, address owner, address to, uint96 amount, bool asked) public {
        token.mint(address(lock), type(uint128).max);
        (uint96 before, address fixedTo) = (lock.balances(owner), lock.beneficiaries(owner));
        (uint256 held, uint256 has) = (token.balanceOf(address(lock)), token.balanceOf(to));
        bool done = make(who, asked ? abi.encodeCall(lock.withdraw, (to, amount)) : abi.encodeCall(lock.payOut, (owner)));
        if (!done) return;
        uint96 out = before - lock.balances(owner);
        assert(held - token.balanceOf(address(lock)) == (asked ? amount : before));
        if (asked) assert(out == (who == owner ? amount : 0));
        else assert(out == before && fixedTo != address(0));
        if (asked && who == owner) {
            assert(fixedTo == address(0) || fixedTo == to);
            assert(token.balanceOf(to) == has + amount);
        }
        assert(lock.beneficiaries(owner) == fixedTo);
    }

    /// Conservation, of a claim with words: only the payee gains, exactly what was not claimed before, never beyond the deposit; and the
    /// claimed only rises.
    function check_only_the_payee_gains_by_a_claim(address who, address third, IChainLock.Params memory p, One memory it)
        public
    {
        vm.assume(third != p.payee);
        assumeSound(p);
        IChainLock.Channel memory c = channel(p);
        (uint96 payee, uint96 others) = (lock.balances(p.payee), lock.balances(third));
        if (!make(who, abi.encodeCall(lock.claim, (claimOf(p, it))))) return;
        IChainLock.Channel memory d = channel(p);
        assert(d.claimed > c.claimed && d.claimed <= c.deposit);
        assert(lock.balances(p.payee) == uint256(payee) + (d.claimed - c.claimed));
        assert(lock.balances(third) == others);
        assert(d.deposit == c.deposit && d.closesAt == c.closesAt && d.flags == OPEN);
        uint256 worth = uint256(it.base) + uint256(it.lock.unitPrice) * it.reveal.k;
        assert(d.claimed == (worth < c.deposit ? worth : c.deposit));
    }

    /// No call on a channel touches the pot of one who is not its party.
    function check_no_stranger_gains(
        uint8 which,
        address who,
        address third,
        IChainLock.Params memory p,
        uint96 amount,
        One memory it
    ) public {
        vm.assume(which <= 6);
        vm.assume(third != p.payee && third != p.payer);
        assumeSound(p);
        uint96 before = lock.balances(third);
        if (make(who, some(which, p, amount, it))) assert(lock.balances(third) == before);
    }

    /// A pot whose way is fixed shrinks towards its beneficiary only.
    function check_a_fixed_pot_opens_nothing(uint8 which, IChainLock.Params memory p, uint96 amount, One memory it)
        public
    {
        vm.assume(which <= 6);
        assumeSound(p);
        vm.assume(lock.beneficiaries(p.payer) != address(0));
        uint96 before = lock.balances(p.payer);
        if (make(p.payer, some(which, p, amount, it))) {
            assert(lock.balances(p.payer) >= before);
            assert(lock.beneficiaries(p.payer) != address(0));
        }
    }

    /// Only the beneficiary passes its right on; only the owner gives it away.
    function check_a_beneficiary_is_its_own_master(address who, address owner, address to) public {
        (address before, uint96 pot) = (lock.beneficiaries(owner), lock.balances(owner));
        bool done = make(who, abi.encodeCall(lock.setBeneficiary, (owner, to)));
        assert(lock.balances(owner) == pot);
        if (done) {
            assert(who == (before == address(0) ? owner : before));
            assert(to != address(0) && lock.beneficiaries(owner) == to);
        } else {
            assert(lock.beneficiaries(owner) == before);
        }
    }
}
