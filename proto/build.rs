// Nothing yet.
fn main() {}
