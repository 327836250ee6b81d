//! Family component `db`: the record store for Mix programs.
//!
//! One instance serves many runs. Databases stay open between them
//! (`databases`); what belongs to one run, its caller and its session
//! databases, is a `Session`. Functions for programs are in
//! `reading`, `writing` and `querying`; those in `http` give HTTP
//! endpoints and tools the same store with the errors and shapes they need.
//!
//! Records leave as the bytes that are stored: nothing is re-encoded.
//!
//! Reading a database that is open and up to date waits for nothing, so it has a short way
//! (`at_once`) that a program takes without a task; it turns back where something must be opened or caught up with.
//! Rows of a query are asked for many at a time (`parts`): to hand over an item of a stream takes longer than to find it.
//!
//! Where databases are: below the preopened folder `/app` if there is one (the
//! folder of the app), else below `/ws/<workspace>/<app>`.

mod answers;
mod databases;
mod draft;
mod failures;
mod http;
mod id;
mod maintenance;
mod parts;
mod querying;
mod reading;
mod session;
#[cfg(test)]
mod tests;
mod writing;

use mix_plugin_sdk::{Map, Value, shared_family};

use draft::Input;
use id::Id;
use session::Session;

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

shared_family! {
    session Session = Session::open;

    /// The current version of a record, or exactly a revision; null without one.
    start "$db_get_one" = reading::get_one(Value, Id);
    /// As `$db_get_one`, position by position, all of one moment.
    start "$db_get_a" = reading::get_many(Value, Vec<Id>);
    /// Saves a record and gives what is stored.
    start "$db_save_one" = writing::save_one(Value, Input);
    /// Saves records as one commit and gives their refs.
    start "$db_save_a" = writing::save_refs(Value, Vec<Input>);
    /// Saves records as one commit and gives what is stored.
    start "$db_save_ar" = writing::save_records(Value, Vec<Input>);
    /// As `$db_save_a`, keeping the fields that are not given.
    start "$db_upsert_a" = writing::upsert_refs(Value, Vec<Input>);
    /// As `$db_save_ar`, keeping the fields that are not given.
    start "$db_upsert_ar" = writing::upsert_records(Value, Vec<Input>);
    /// Deletes a record and gives its last version; `{}` without one.
    start "$db_delete_one" = writing::delete_one(Value, Value);
    /// Deletes records as one commit and gives the refs of those that were there.
    start "$db_delete_a" = writing::delete_refs(Value, Vec<Value>);
    /// Deletes records as one commit and gives the last version of each.
    start "$db_delete_ar" = writing::delete_records(Value, Vec<Value>);
    /// Runs a query given as clauses; the rows of one snapshot, lazily.
    start "$db_fromAST_result" = querying::run(Value, Vec<Value>, Map);
    /// The clauses of a query text; one clause if the last argument is true.
    call "$db_parse" = querying::parse(Value, String, bool);
    /// The watermark: grows with each commit.
    start "$db_getWatermark" = reading::watermark(Value);
    /// Waits until there are commits after a watermark and gives the newer one.
    start "$db_waitChange" = reading::wait_change(Value, String, bool);
    /// Returns when all commits are durable.
    start "$db_flush" = writing::flush(Value);
    /// The same as `$db_flush`.
    start "db_flush" = writing::flush(Value);
    /// Links that run an endpoint with the rights of their maker: made by a server, not by the store.
    start "$db_makeAnonymousLink" = writing::anonymous_link(Value, String);
    /// For HTTP endpoints: a record, or a failure whose detail says `not_found` or `deleted`.
    start "$db_http_get" = http::get(Value, String);
    /// For HTTP endpoints: save, upsert or delete as one commit.
    start "$db_http_save" = http::save(Value, Map);
    /// For HTTP endpoints: a query by text or clauses, all rows at once.
    start "$db_http_query" = http::query(Value, Map);
    /// For HTTP endpoints: clauses and parameters of a query.
    start "$db_http_parse" = http::parse(Value, Map);
    /// For HTTP endpoints: deletes one record that must be there.
    start "$db_http_delete" = http::delete(Value, Value);
    /// For tools: numbers about a database.
    start "$db_stat" = http::stat(Value);
    /// For tools: reads and checks every row.
    start "$db_check" = http::check(Value);
    /// For HTTP endpoints: sets flags, purges, prunes, compacts, reindexes or flushes.
    start "$db_http_modify" = maintenance::modify(Value, Map);
    /// The short way of `$db_get_one`: where the database is open and up to date.
    call "$db_get_one?" = reading::get_one_at_once(Value, Id);
    /// The short way of `$db_get_a`.
    call "$db_get_a?" = reading::get_many_at_once(Value, Vec<Id>);
    /// The short way of `$db_getWatermark`.
    call "$db_getWatermark?" = reading::watermark_at_once(Value);
    /// `$db_fromAST_result` in parts: the first rows, and what the next ones are asked with.
    start "$db_fromAST_result>" = parts::first(Value, Vec<Value>, Map);
    /// The short way of `$db_fromAST_result>`.
    call "$db_fromAST_result>?" = parts::first_at_once(Value, Vec<Value>, Map);
    /// Further rows of `$db_fromAST_result`, at most so many; 0: no more are wanted.
    start "$db_fromAST_result>>" = parts::next(Value, i64, i64);
    /// The short way of `$db_fromAST_result>>`.
    call "$db_fromAST_result>>?" = parts::next_at_once(Value, i64, i64);
}
