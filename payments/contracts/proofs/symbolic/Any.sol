// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ChainLock} from "warren/ChainLock.sol";
import {IChainLock} from "warren/IChainLock.sol";
import {DevToken} from "warren/DevToken.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

interface Vm {
    function assume(bool condition) external pure;
    function prank(address sender) external;
    function warp(uint256 timestamp) external;
}

interface Svm {
    function enableSymbolicStorage(address account) external;
}

/// @title Any state the contract could be in, and more: every word of its storage is free.
///
/// A property is proved of one call from any such state. What a call needs of the state before it, it is
/// given as an assumption, and `check_the_invariant…` proves that every call keeps it.
abstract contract Any {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    Svm internal constant svm = Svm(0xF3993A62377BCd56AE39D773740A5390411E8BC9);

    uint256 internal constant NOW = 1_800_000_000;
    uint16 internal constant OPEN = 1;
    uint16 internal constant CLOSED = 2;

    DevToken internal token;
    ChainLock internal lock;

    function setUp() public {
        vm.warp(NOW);
        token = new DevToken();
        lock = new ChainLock(IERC20(address(token)));
        svm.enableSymbolicStorage(address(lock));
    }

    /// All that is owed of one channel: both pots and what is open.
    function owed(IChainLock.Params memory p) internal view returns (uint256 sum) {
        IChainLock.Channel memory c = lock.channels(lock.channelId(p));
        sum = uint256(lock.balances(p.payer)) + lock.balances(p.payee);
        if (c.flags == OPEN) sum += uint256(c.deposit) - c.claimed;
    }

    function channel(IChainLock.Params memory p) internal view returns (IChainLock.Channel memory) {
        return lock.channels(lock.channelId(p));
    }

    /// What every call keeps, and may rely on.
    function sound(IChainLock.Params memory p) internal view returns (bool) {
        IChainLock.Channel memory c = channel(p);
        return c.claimed <= c.deposit && c.flags <= CLOSED;
    }

    function assumeSound(IChainLock.Params memory p) internal view {
        vm.assume(p.payer != p.payee);
        vm.assume(sound(p));
    }

    /// A claim of a base and of words of one lock.
    struct One {
        uint64 seq;
        uint96 base;
        IChainLock.Lock lock;
        IChainLock.Reveal reveal;
        bytes32 r;
        bytes32 vs;
    }

    function claimOf(IChainLock.Params memory p, One memory it) internal pure returns (IChainLock.Claim memory c) {
        (c.params, c.seq, c.base, c.r, c.vs) = (p, it.seq, it.base, it.r, it.vs);
        c.locks = new IChainLock.Lock[](1);
        c.locks[0] = it.lock;
        c.reveals = new IChainLock.Reveal[](1);
        c.reveals[0] = placed(it.reveal);
    }

    /// The same reveal. An index that names a lock is said as a number, one case each: the prover reads no
    /// array at an unknown place. Any other stays free; the contract must refuse it before it reads.
    /// At most two words: that every count hashes alike is what the fuzzed tests show.
    function placed(IChainLock.Reveal memory it) internal pure returns (IChainLock.Reveal memory) {
        if (it.index == 0) it.index = 0;
        else if (it.index == 1) it.index = 1;
        if (it.k == 0) it.k = 0;
        else if (it.k == 1) it.k = 1;
        else if (it.k == 2) it.k = 2;
        else vm.assume(false);
        return it;
    }

    function baseOf(IChainLock.Params memory p, One memory it) internal pure returns (IChainLock.Claim memory c) {
        (c.params, c.seq, c.base, c.r, c.vs) = (p, it.seq, it.base, it.r, it.vs);
    }

    /// Makes a call that may be refused; says whether it was made.
    function make(address who, bytes memory data) internal returns (bool done) {
        vm.prank(who);
        (done,) = address(lock).call(data);
    }

    /// One of the calls on a channel, by number; all but opening with tokens and claims with words.
    function some(uint8 which, IChainLock.Params memory p, uint96 amount, One memory it)
        internal
        view
        returns (bytes memory)
    {
        if (which == 0) return abi.encodeCall(lock.openFromBalance, (p, amount));
        if (which == 1) return abi.encodeCall(lock.topUpFromBalance, (p, amount));
        if (which == 2) return abi.encodeCall(lock.coopClose, (p, amount, uint48(it.seq), it.r, it.vs));
        if (which == 3) return abi.encodeCall(lock.closeByPayee, (p));
        if (which == 4) return abi.encodeCall(lock.startClose, (p));
        if (which == 5) return abi.encodeCall(lock.finishClose, (p));
        return abi.encodeCall(lock.claim, (baseOf(p, it)));
    }
}
