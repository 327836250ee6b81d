//! core
use mix_plugin_sdk::{Failure, Many, family};
fn now() -> f64 {
    1.0
}
async fn sleep(_s: f64) -> Result<(), Failure> {
    Ok(())
}
async fn many(n: i64) -> Many {
    Many::from_iter(0..n)
}
family! {
    bound;
    /// Now.
    call "$core_now" = now();
    /// Sleep
    start "$core_sleep" = sleep(f64);
    /// Sleep
    start "$core_many" = many(i64);
}
