// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {ChainLock} from "warren/ChainLock.sol";
import {IChainLock} from "warren/IChainLock.sol";
import {WeirdToken} from "warren/WeirdToken.sol";

/// @title The pot: money in, money out, and where it may go.
contract PotTest is Base {
    event Deposited(address indexed owner, uint96 amount);
    event Withdrawn(address indexed owner, address indexed to, uint96 amount);
    event BeneficiaryChanged(address indexed owner, address indexed beneficiary);

    function filled(uint96 amount) private {
        fund(payer, amount);
        vm.prank(payer);
        lock.deposit(amount);
    }

    function test_what_goes_in_comes_out(uint96 amount, uint96 out) public {
        vm.assume(amount > 0 && out > 0 && out <= amount);
        fund(payer, amount);
        vm.expectEmit(address(lock));
        emit Deposited(payer, amount);
        vm.prank(payer);
        lock.deposit(amount);
        same(lock.balances(payer), amount, "pot");
        vm.expectEmit(address(lock));
        emit Withdrawn(payer, stranger, out);
        vm.prank(payer);
        lock.withdraw(stranger, out);
        same(lock.balances(payer), amount - out, "rest");
        same(token.balanceOf(stranger), out, "tokens out");
        same(token.balanceOf(address(lock)), amount - out, "tokens held");
    }

    function test_pots_add_up() public {
        filled(10);
        filled(7);
        same(lock.balances(payer), 17, "pot");
    }

    function test_nothing_is_refused() public {
        filled(10);
        vm.expectRevert(IChainLock.ZeroAmount.selector);
        vm.prank(payer);
        lock.deposit(0);
        vm.expectRevert(IChainLock.ZeroAmount.selector);
        vm.prank(payer);
        lock.withdraw(payer, 0);
        vm.expectRevert(IChainLock.BadParams.selector);
        vm.prank(payer);
        lock.withdraw(address(0), 1);
    }

    function test_no_more_comes_out_than_is_in() public {
        filled(10);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.Insufficient.selector, 10, 11));
        vm.prank(payer);
        lock.withdraw(payer, 11);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.Insufficient.selector, 0, 1));
        vm.prank(stranger);
        lock.withdraw(stranger, 1);
        vm.prank(payer);
        lock.withdraw(payer, 10);
        same(lock.balances(payer), 0, "empty");
    }

    function test_a_pot_holds_up_to_its_word_and_no_more() public {
        vm.prank(payer);
        lock.setBeneficiary(payer, address(type(uint160).max));
        filled(MAX);
        fund(payer, 1);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.PotFull.selector, payer));
        vm.prank(payer);
        lock.deposit(1);
        same(lock.balances(payer), MAX, "pot");
        same(lock.beneficiaries(payer), address(type(uint160).max), "beneficiary");
    }

    function test_a_beneficiary_is_the_only_way_out() public {
        filled(100);
        vm.expectEmit(address(lock));
        emit BeneficiaryChanged(payer, stranger);
        vm.prank(payer);
        lock.setBeneficiary(payer, stranger);
        same(lock.beneficiaries(payer), stranger, "beneficiary");
        same(lock.balances(payer), 100, "pot");
        bytes memory fixedTo = abi.encodeWithSelector(IChainLock.BeneficiaryFixed.selector, stranger);
        vm.expectRevert(fixedTo);
        vm.prank(payer);
        lock.withdraw(payer, 1);
        vm.expectRevert(fixedTo);
        vm.prank(payer);
        lock.setBeneficiary(payer, payer);
        vm.expectRevert(fixedTo);
        vm.prank(payer);
        lock.openFromBalance(params(1), 1);
        vm.prank(payer);
        lock.withdraw(stranger, 40);
        same(lock.beneficiaries(payer), stranger, "still");
        vm.expectEmit(address(lock));
        emit Withdrawn(payer, stranger, 60);
        lock.payOut(payer);
        same(token.balanceOf(stranger), 100, "all of it");
        vm.expectRevert(IChainLock.ZeroAmount.selector);
        lock.payOut(payer);
        vm.prank(stranger);
        lock.setBeneficiary(payer, payee);
        same(lock.beneficiaries(payer), payee, "passed on");
    }

    function test_a_fixed_pot_tops_up_nothing() public {
        IChainLock.Params memory p = opened(1, 10);
        filled(5);
        vm.prank(payer);
        lock.setBeneficiary(payer, stranger);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.BeneficiaryFixed.selector, stranger));
        vm.prank(payer);
        lock.topUpFromBalance(p, 5);
    }

    function test_a_free_pot_is_its_owners() public {
        filled(10);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.NoBeneficiary.selector, payer));
        lock.payOut(payer);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.BeneficiaryFixed.selector, payer));
        vm.prank(stranger);
        lock.setBeneficiary(payer, stranger);
        address[2] memory nowhere = [address(0), address(lock)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(IChainLock.BadParams.selector);
            vm.prank(payer);
            lock.setBeneficiary(payer, nowhere[i]);
            vm.expectRevert(IChainLock.BadParams.selector);
            vm.prank(payer);
            lock.withdraw(nowhere[i], 1);
        }
    }

    // ---- Tokens --------------------------------------------------------------------------------------------

    error SafeERC20FailedOperation(address token);
    error ReentrancyGuardReentrantCall();

    function weird(WeirdToken.Kind kind) private returns (WeirdToken it) {
        it = new WeirdToken(kind);
        lock = deployed(address(it));
        it.mint(payer, 1000);
    }

    function test_a_token_must_have_code() public {
        vm.expectRevert(IChainLock.BadParams.selector);
        this.deploy(address(0));
        vm.expectRevert(IChainLock.BadParams.selector);
        this.deploy(stranger);
        same(address(lock.token()), address(token), "token");
    }

    function deploy(address of_) external returns (ChainLock) {
        return deployed(of_);
    }

    function test_a_mute_token_works() public {
        WeirdToken it = weird(WeirdToken.Kind.Mute);
        vm.prank(payer);
        lock.deposit(100);
        vm.prank(payer);
        lock.withdraw(stranger, 100);
        same(it.balanceOf(stranger), 100, "tokens");
    }

    /// Every way in, against a token that delivers another amount or refuses.
    function refused(bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(payer);
        lock.deposit(100);
        vm.expectRevert(why);
        vm.prank(payer);
        lock.open(params(1), 100);
        same(lock.balances(payer), 0, "pot");
        same(state(params(1)).flags, 0, "channel");
    }

    function test_a_fee_on_transfer_is_refused() public {
        weird(WeirdToken.Kind.Fee);
        refused(abi.encodeWithSelector(IChainLock.WrongDelta.selector, 99, 100));
    }

    function test_a_token_that_moves_nothing_is_refused() public {
        weird(WeirdToken.Kind.Idle);
        refused(abi.encodeWithSelector(IChainLock.WrongDelta.selector, 0, 100));
    }

    function test_a_token_that_says_no_is_refused() public {
        WeirdToken it = weird(WeirdToken.Kind.Liar);
        refused(abi.encodeWithSelector(SafeERC20FailedOperation.selector, it));
    }

    function test_a_reentrant_token_is_refused() public {
        WeirdToken it = weird(WeirdToken.Kind.Reentrant);
        it.mint(address(it), 100);
        bytes memory why = abi.encodeWithSelector(ReentrancyGuardReentrantCall.selector);
        refused(why);
        // Channels and pots as if the token had been honest before.
        IChainLock.Params memory p = params(1);
        bytes32 id = lock.channelId(p);
        vm.store(address(lock), keccak256(abi.encode(id, 2)), bytes32((uint256(1) << 240) | 50));
        vm.store(address(lock), keccak256(abi.encode(payer, 3)), bytes32((uint256(uint160(stranger)) << 96) | 50));
        it.mint(address(lock), 100);
        it.mint(address(it), 100);
        vm.expectRevert(why);
        vm.prank(payer);
        lock.topUp(p, 10);
        vm.expectRevert(why);
        vm.prank(payer);
        lock.withdraw(stranger, 10);
        vm.expectRevert(why);
        lock.payOut(payer);
        same(lock.balances(payer), 50, "pot as before");
    }

    function test_a_token_that_blocks_a_payee_blocks_no_close() public {
        weird(WeirdToken.Kind.Blocked);
        IChainLock.Params memory p = params(1);
        vm.prank(payer);
        lock.open(p, 100);
        lock.claim(claimOf(p, 60, noLocks(), noReveals()));
        vm.prank(payee);
        lock.closeByPayee(p);
        same(lock.balances(payer), 40, "payer");
        same(lock.balances(payee), 60, "payee");
        vm.expectRevert(WeirdToken.Frozen.selector);
        vm.prank(payee);
        lock.withdraw(payee, 60);
        same(lock.balances(payee), 60, "kept for later");
    }
}
