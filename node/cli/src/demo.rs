//! The make-believe internet and the line that runs through it: `warren demo`, and the world of the namespace tests.
//!
//! ```text
//! Plan ──▶ World (namespaces, routers, firewalls) ──▶ Process… (chain, web, names, bootstrap, exits, consumer)
//!                                                       │
//!            Report (out.json) ◀── story: join, find, up, download, down, up warm, settle
//! ```
//!
//! Start reading at [`plan`], then [`world`].

pub mod body;
pub mod books;
pub mod capture;
pub mod cast;
pub mod names;
pub mod netns;
pub mod node;
pub mod packet;
pub mod plan;
pub mod process;
pub mod report;
pub mod router;
pub mod settings;
pub mod story;
pub mod wait;
pub mod web;
pub mod world;
