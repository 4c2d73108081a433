// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {IChainLock} from "warren/IChainLock.sol";

/// @title A channel's life without its claims: how it opens, grows and ends.
contract ChannelTest is Base {
    event Opened(
        bytes32 indexed id, address indexed payer, address indexed payee, uint32 period, uint64 salt, uint96 deposit
    );
    event ToppedUp(bytes32 indexed id, address indexed payee, uint96 deposit);
    event Closing(bytes32 indexed id, address indexed payee, uint48 closesAt);
    event Closed(bytes32 indexed id, address indexed payee, uint96 claimed, uint96 returned);

    function test_the_constants() public view {
        same(lock.MIN_PERIOD(), 3600, "shortest window");
        same(lock.MAX_PERIOD(), 30 * 86400, "longest window");
        same(lock.MAX_LOCKS(), 16, "locks");
    }

    function test_the_id_commits_to_everything(IChainLock.Params memory p, uint64 chain) public {
        vm.assume(chain != 0);
        bytes32 id = keccak256(abi.encode(block.chainid, address(lock), p.payer, p.payee, p.period, p.salt));
        same(uint256(lock.channelId(p)), uint256(id), "id");
        vm.chainId(chain);
        id = keccak256(abi.encode(uint256(chain), address(lock), p.payer, p.payee, p.period, p.salt));
        same(uint256(lock.channelId(p)), uint256(id), "id on another chain");
    }

    function test_open(uint96 amount, uint64 salt) public {
        vm.assume(amount > 0);
        IChainLock.Params memory p = params(salt);
        fund(payer, amount);
        vm.expectEmit(address(lock));
        emit Opened(lock.channelId(p), payer, payee, PERIOD, salt, amount);
        vm.prank(payer);
        bytes32 id = lock.open(p, amount);
        same(uint256(id), uint256(lock.channelId(p)), "id");
        IChainLock.Channel memory c = state(p);
        same(c.deposit, amount, "deposit");
        same(c.claimed, 0, "claimed");
        same(c.closesAt, 0, "closesAt");
        same(c.flags, 1, "flags");
        same(token.balanceOf(address(lock)), amount, "tokens");
        same(token.balanceOf(payer), 0, "payer's tokens");
    }

    function test_open_and_top_up_from_the_pot() public {
        fund(payer, 100);
        vm.prank(payer);
        lock.deposit(100);
        IChainLock.Params memory p = params(1);
        vm.prank(payer);
        bytes32 id = lock.openFromBalance(p, 60);
        same(uint256(id), uint256(lock.channelId(p)), "id");
        same(lock.balances(payer), 40, "pot");
        vm.expectEmit(address(lock));
        emit ToppedUp(id, payee, 95);
        vm.prank(payer);
        lock.topUpFromBalance(p, 35);
        same(lock.balances(payer), 5, "pot");
        same(state(p).deposit, 95, "deposit");
        vm.expectRevert(abi.encodeWithSelector(IChainLock.Insufficient.selector, 5, 6));
        vm.prank(payer);
        lock.openFromBalance(params(2), 6);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.Insufficient.selector, 5, 6));
        vm.prank(payer);
        lock.topUpFromBalance(p, 6);
        vm.prank(payer);
        lock.topUpFromBalance(p, 5);
        same(lock.balances(payer), 0, "all of it");
    }

    function test_top_up() public {
        IChainLock.Params memory p = opened(1, 100);
        fund(payer, 20);
        vm.prank(payer);
        lock.topUp(p, 20);
        same(state(p).deposit, 120, "deposit");
        same(token.balanceOf(address(lock)), 120, "tokens");
        same(token.balanceOf(payer), 0, "payer's tokens");
    }

    function test_a_top_up_stays_in_its_field() public {
        IChainLock.Params memory p = opened(1, 10);
        lock.claim(claimOf(p, 4, noLocks(), noReveals()));
        fund(payer, MAX);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        vm.prank(payer);
        lock.topUp(p, MAX - 9);
        vm.prank(payer);
        lock.topUp(p, MAX - 10);
        same(state(p).deposit, MAX, "deposit");
        same(state(p).claimed, 4, "claimed");
    }

    /// Every one of them by everyone but the one who may.
    function test_who_may() public {
        IChainLock.Params memory p = opened(1, 100);
        bytes memory notPayer = abi.encodeWithSelector(IChainLock.NotPayer.selector, payer);
        bytes memory notPayee = abi.encodeWithSelector(IChainLock.NotPayee.selector, payee);
        (bytes32 r, bytes32 vs) = consent(p, 1, uint48(block.timestamp));
        address[2] memory others = [payee, stranger];
        for (uint256 i = 0; i < 2; ++i) {
            fund(others[i], 10);
            vm.prank(others[i]);
            lock.deposit(10);
            bytes[6] memory calls = [
                abi.encodeCall(lock.open, (params(2), 1)),
                abi.encodeCall(lock.openFromBalance, (params(2), 1)),
                abi.encodeCall(lock.topUp, (p, 1)),
                abi.encodeCall(lock.topUpFromBalance, (p, 1)),
                abi.encodeCall(lock.startClose, (p)),
                abi.encodeCall(lock.coopClose, (p, 1, uint48(block.timestamp), r, vs))
            ];
            for (uint256 j = 0; j < calls.length; ++j) refuse(others[i], calls[j], notPayer);
        }
        refuse(payer, abi.encodeCall(lock.closeByPayee, (p)), notPayee);
        refuse(stranger, abi.encodeCall(lock.closeByPayee, (p)), notPayee);
    }

    function refuse(address who, bytes memory call, bytes memory why) private {
        vm.prank(who);
        (bool done, bytes memory said) = address(lock).call(call);
        if (done || keccak256(said) != keccak256(why)) revert Unequal(done ? 1 : 0, uint32(bytes4(call)), "refusal");
    }

    function test_parties_and_windows() public {
        fund(payer, 100);
        bytes memory bad = abi.encodeWithSelector(IChainLock.BadParams.selector);
        IChainLock.Params memory p = params(1);
        p.payee = address(0);
        refuse(payer, abi.encodeCall(lock.open, (p, 1)), bad);
        p.payee = payer;
        refuse(payer, abi.encodeCall(lock.open, (p, 1)), bad);
        p = params(1);
        p.period = 3599;
        refuse(payer, abi.encodeCall(lock.open, (p, 1)), bad);
        p.period = 30 days + 1;
        refuse(payer, abi.encodeCall(lock.open, (p, 1)), bad);
        bytes memory zero = abi.encodeWithSelector(IChainLock.ZeroAmount.selector);
        refuse(payer, abi.encodeCall(lock.open, (params(1), 0)), zero);
        p.period = 3600;
        vm.prank(payer);
        lock.open(p, 1);
        refuse(payer, abi.encodeCall(lock.topUp, (p, 0)), zero);
        refuse(payer, abi.encodeCall(lock.open, (p, 1)), abi.encodeWithSelector(IChainLock.IdUsed.selector, lock.channelId(p)));
        p.period = 30 days;
        vm.prank(payer);
        lock.open(p, 1);
    }

    /// The id is hashed as the call brings it: a field with bits beyond its type must open nothing.
    function test_no_dirty_field_opens(uint8 field, uint8 bit) public {
        fund(payer, 1);
        bytes memory data = abi.encodeCall(lock.open, (params(1), 1));
        uint256[4] memory widths = [uint256(160), 160, 32, 64];
        uint256 at = 0x24 + uint256(field % 4) * 32;
        uint256 width = widths[field % 4];
        uint256 dirt = 1 << (width + bit % (256 - width));
        assembly ("memory-safe") {
            let place := add(data, at)
            mstore(place, or(mload(place), dirt))
        }
        vm.prank(payer);
        (bool done,) = address(lock).call(data);
        if (done) revert Unequal(1, 0, "opened with dirt");
    }

    function test_an_unknown_channel_takes_nothing() public {
        IChainLock.Params memory p = params(1);
        bytes memory unknown = abi.encodeWithSelector(IChainLock.NotOpen.selector, lock.channelId(p));
        notOpen(p, unknown);
    }

    function notOpen(IChainLock.Params memory p, bytes memory why) private {
        fund(payer, 1);
        (bytes32 r, bytes32 vs) = consent(p, 1, uint48(block.timestamp));
        refuse(payer, abi.encodeCall(lock.topUp, (p, 1)), why);
        refuse(payer, abi.encodeCall(lock.startClose, (p)), why);
        refuse(payer, abi.encodeCall(lock.coopClose, (p, 1, uint48(block.timestamp), r, vs)), why);
        refuse(payee, abi.encodeCall(lock.closeByPayee, (p)), why);
        refuse(stranger, abi.encodeCall(lock.finishClose, (p)), why);
        refuse(payee, abi.encodeCall(lock.claim, (claimOf(p, 9, noLocks(), noReveals()))), why);
    }

    function test_the_payee_leaves() public {
        IChainLock.Params memory p = opened(1, 100);
        lock.claim(claimOf(p, 30, noLocks(), noReveals()));
        vm.expectEmit(address(lock));
        emit Closed(lock.channelId(p), payee, 30, 70);
        vm.prank(payee);
        lock.closeByPayee(p);
        ended(p, 30, 70, 0);
    }

    /// Closed, with so much for each, and dead for ever.
    function ended(IChainLock.Params memory p, uint96 toPayee, uint96 toPayer, uint48 closesAt) private {
        same(lock.balances(payee), toPayee, "payee");
        same(lock.balances(payer), toPayer, "payer");
        IChainLock.Channel memory c = state(p);
        same(c.flags, 2, "flags");
        same(c.claimed, toPayee, "claimed");
        same(c.deposit, uint256(toPayee) + toPayer, "deposit");
        same(c.closesAt, closesAt, "closesAt");
        bytes32 id = lock.channelId(p);
        notOpen(p, abi.encodeWithSelector(IChainLock.NotOpen.selector, id));
        refuse(payer, abi.encodeCall(lock.open, (p, 1)), abi.encodeWithSelector(IChainLock.IdUsed.selector, id));
        IChainLock.Claim[] memory many = new IChainLock.Claim[](1);
        many[0] = claimOf(p, MAX, noLocks(), noReveals());
        lock.claimMany(many);
        same(lock.balances(payee), toPayee, "payee, after a late claim");
    }

    function test_the_payer_waits_and_takes_the_rest(uint32 early) public {
        IChainLock.Params memory p = opened(1, 100);
        lock.claim(claimOf(p, 30, noLocks(), noReveals()));
        vm.expectRevert(IChainLock.NotClosing.selector);
        lock.finishClose(p);
        uint48 closesAt = uint48(block.timestamp) + PERIOD;
        vm.expectEmit(address(lock));
        emit Closing(lock.channelId(p), payee, closesAt);
        vm.prank(payer);
        lock.startClose(p);
        same(state(p).closesAt, closesAt, "closesAt");
        same(state(p).deposit, 100, "deposit");
        same(state(p).claimed, 30, "claimed");
        bytes memory closing = abi.encodeWithSelector(IChainLock.IsClosing.selector, closesAt);
        refuse(payer, abi.encodeCall(lock.startClose, (p)), closing);
        fund(payer, 1);
        refuse(payer, abi.encodeCall(lock.topUp, (p, 1)), closing);
        refuse(payer, abi.encodeCall(lock.topUpFromBalance, (p, 1)), closing);
        vm.warp(closesAt - 1 - early % PERIOD);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.TooEarly.selector, closesAt));
        lock.finishClose(p);
        vm.warp(closesAt);
        lock.claim(claimOf(p, 40, noLocks(), noReveals()));
        vm.prank(stranger);
        lock.finishClose(p);
        ended(p, 40, 60, closesAt);
    }

    function test_both_agree(uint96 amount, uint96 before) public {
        agree(amount, before % 101);
    }

    function agree(uint96 amount, uint96 before) private {
        IChainLock.Params memory p = opened(1, 100);
        if (before > 0) lock.claim(claimOf(p, before, noLocks(), noReveals()));
        uint48 until = uint48(block.timestamp);
        (bytes32 r, bytes32 vs) = consent(p, amount, until);
        uint96 total = amount > 100 ? 100 : amount < before ? before : amount;
        vm.expectEmit(address(lock));
        emit Closed(lock.channelId(p), payee, total, 100 - total);
        vm.prank(payer);
        lock.coopClose(p, amount, until, r, vs);
        ended(p, total, 100 - total, 0);
    }

    function test_an_agreement_at_the_edges() public {
        uint96[2][6] memory edges =
            [[uint96(0), 0], [uint96(30), 31], [uint96(31), 30], [uint96(100), 0], [uint96(101), 7], [MAX, 100]];
        for (uint256 i = 0; i < edges.length; ++i) {
            setUp();
            agree(edges[i][0], edges[i][1]);
        }
    }

    function test_an_agreement_is_the_payees_and_runs_out() public {
        IChainLock.Params memory p = opened(1, 100);
        uint48 until = uint48(block.timestamp);
        (bytes32 r, bytes32 vs) = consent(p, 50, until);
        bytes memory bad = abi.encodeWithSelector(IChainLock.BadSignature.selector, payee);
        refuse(payer, abi.encodeCall(lock.coopClose, (p, 49, until, r, vs)), bad);
        refuse(payer, abi.encodeCall(lock.coopClose, (p, 50, until + 1, r, vs)), bad);
        refuse(payer, abi.encodeCall(lock.coopClose, (p, 50, until, vs, r)), bad);
        IChainLock.Params memory other = opened(2, 100);
        refuse(payer, abi.encodeCall(lock.coopClose, (other, 50, until, r, vs)), bad);
        vm.warp(until + 1);
        refuse(
            payer,
            abi.encodeCall(lock.coopClose, (p, 50, until, r, vs)),
            abi.encodeWithSelector(IChainLock.TooLate.selector, until)
        );
    }
}
