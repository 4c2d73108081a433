//! The make-believe internet and the line that runs through it: `warren demo`, and the world of the namespace tests.
//!
//! ```text
//! Plan ──▶ World (namespaces, routers, firewalls) ──▶ Process… (chain, bootstrap, exits, consumer, web)
//!                                                       │
//!            Report (out.json) ◀── story: join, find, up, download, down, up warm, settle
//! ```
//!
//! Start reading at [`plan`], then [`world`].

pub mod body;
pub mod capture;
pub mod netns;
pub mod packet;
pub mod plan;
pub mod process;
pub mod router;
pub mod wait;
pub mod web;
pub mod world;
