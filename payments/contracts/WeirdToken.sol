// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Tokens that misbehave, each in its own way; for tests only.
contract WeirdToken {
    enum Kind {
        /// Returns nothing, as some old tokens do; else honest.
        Mute,
        /// Keeps 1 % of what passes.
        Fee,
        /// Says no and moves nothing.
        Liar,
        /// Says yes and moves nothing.
        Idle,
        /// Calls back into whoever moves it, once.
        Reentrant,
        /// Takes money in but never gives any out.
        Blocked
    }

    error Frozen();

    Kind private immutable KIND;
    bool private inside;
    mapping(address owner => uint256) public balanceOf;

    constructor(Kind kind) {
        KIND = kind;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        if (KIND == Kind.Blocked) revert Frozen();
        return _move(msg.sender, to, amount);
    }

    /// Allowances are beside the point here.
    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (KIND == Kind.Liar) return false;
        if (KIND == Kind.Idle) return true;
        balanceOf[from] -= amount;
        balanceOf[to] += KIND == Kind.Fee ? amount - amount / 100 : amount;
        if (KIND == Kind.Reentrant && !inside) {
            inside = true;
            (bool done, bytes memory why) = msg.sender.call(abi.encodeWithSignature("deposit(uint96)", amount));
            inside = false;
            assembly ("memory-safe") {
                if iszero(done) { revert(add(why, 0x20), mload(why)) }
            }
        }
        if (KIND == Kind.Mute) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        return true;
    }
}
