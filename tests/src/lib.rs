//! Tests of the whole: the house's own rules, networks of namespaces, mistakes, and the fuzzers' corpora.
//!
//! Nothing is in this library; each folder beside it is a test program.
