// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {Handler} from "./Handler.sol";
import {IChainLock} from "warren/IChainLock.sol";

interface Files {
    function toString(uint256 value) external pure returns (string memory);
    function writeLine(string calldata path, string calldata line) external;
}

/// @title What holds after any sequence of calls.
contract InvariantsTest is Base {
    /// Of a run's calls, at most this share may be refused, in percent: refusals prove little.
    uint256 private constant MOST_REVERTS = 50;

    Handler private handler;

    function setUp() public override {
        super.setUp();
        handler = new Handler(lock, token, payer, payee);
    }

    /// Read by forge: only the handler is called.
    function targetContracts() external view returns (address[] memory all) {
        all = new address[](1);
        all[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// Read by forge: claims twice as often as the rest.
    function targetSelectors() external view returns (FuzzSelector[] memory all) {
        bytes4[] memory some = new bytes4[](10);
        some[0] = Handler.deposit.selector;
        some[1] = Handler.open.selector;
        some[2] = Handler.topUp.selector;
        some[3] = Handler.claim.selector;
        some[4] = Handler.startClose.selector;
        some[5] = Handler.finishClose.selector;
        some[6] = Handler.closeByPayee.selector;
        some[7] = Handler.coopClose.selector;
        some[8] = Handler.withdraw.selector;
        some[9] = Handler.wait.selector;
        all = new FuzzSelector[](1);
        all[0] = FuzzSelector(address(handler), some);
    }

    function invariant_what_was_refused_should_have_been() public view {
        if (handler.broken()) revert Unequal(0, 1, handler.how());
    }

    function invariant_the_contract_keeps_the_ledger() public view {
        same(lock.balances(payer), handler.payerHas(), "payer");
        same(lock.balances(payee), handler.payeeHas(), "payee");
        same(lock.balances(stranger), 0, "stranger");
        for (uint256 i = 0; i < handler.count(); ++i) {
            uint64 salt = handler.salts(i);
            (, bool closed, uint96 deposit, uint96 claimed, uint48 closesAt) = handler.books(salt);
            IChainLock.Channel memory c = state(params(salt));
            same(c.deposit, deposit, "deposit");
            same(c.claimed, claimed, "claimed");
            same(c.closesAt, closesAt, "closesAt");
            same(c.flags, closed ? 2 : 1, "flags");
        }
    }

    function invariant_what_is_owed_is_held() public view {
        uint256 owed = uint256(lock.balances(payer)) + lock.balances(payee);
        for (uint256 i = 0; i < handler.count(); ++i) {
            IChainLock.Channel memory c = state(params(handler.salts(i)));
            if (c.claimed > c.deposit) revert Unequal(c.claimed, c.deposit, "claimed beyond the deposit");
            if (c.flags == 1) owed += c.deposit - c.claimed;
        }
        same(token.balanceOf(address(lock)), owed, "tokens held");
    }

    function invariant_nothing_is_made_or_lost() public view {
        same(token.balanceOf(address(lock)) + handler.paidOut(), handler.paidIn(), "tokens");
        same(token.balanceOf(stranger), handler.paidOut(), "tokens out");
    }

    /// Run by forge at the end of each sequence.
    function afterInvariant() external {
        (uint256 calls, uint256 reverts) = (handler.calls(), handler.reverts());
        Files files = Files(address(vm));
        files.writeLine("out/shares", string.concat(files.toString(calls), " ", files.toString(reverts)));
        if (calls >= 30 && reverts * 100 > calls * MOST_REVERTS) revert Unequal(reverts, calls, "too many refusals");
    }
}
