// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Play money for development chains: anyone may mint any amount. Worth nothing anywhere.
contract DevToken is ERC20 {
    constructor() ERC20("Warren Dev Token", "WDT") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
