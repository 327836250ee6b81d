//! The macros that make a component of a list of functions.

/// Declares the functions of a plugin: `call` for those that never wait, `start` for the
/// `async` ones. See the page of this crate.
#[macro_export]
macro_rules! family {
    (bound; table $table:path; $($functions:tt)*) => {
        $crate::__plugin!(alone () = |_caller| (); [$table]; $($functions)*);
        $crate::__export_binding_of_plugin!();
    };
    (bound; $($functions:tt)*) => {
        $crate::__plugin!(alone () = |_caller| (); []; $($functions)*);
        $crate::__export_binding_of_plugin!();
    };
    (table $table:path; $($functions:tt)*) => {
        $crate::__plugin!(alone () = |_caller| (); [$table]; $($functions)*);
    };
    ($($functions:tt)*) => {
        $crate::__plugin!(alone () = |_caller| (); []; $($functions)*);
    };
}

/// A table of functions in the form of [`family!`], which may be part of several components:
/// `functions! { pub TABLE; … }`. A family takes it over with `table PATH;` before its own functions.
#[macro_export]
macro_rules! functions {
    ($(#[$attribute:meta])* $visibility:vis $table:ident; $(
        $(#[doc = $doc:expr])*
        $kind:ident $name:literal = $($function:ident)::+ ( $($type:ty),* $(,)? );
    )*) => {
        $(#[$attribute])*
        $visibility static $table: &[$crate::Function<()>] = &[$(
            $crate::Function {
                name: $name,
                params: <[()]>::len(&[$($crate::__unit!($type)),*]) as u8,
                doc: concat!($($doc, "\n"),*),
                run: $crate::__run!(alone $kind ($($function)::+) ($($type),*)),
            },
        )*];
    };
}

/// Declares the functions of a plugin whose one instance serves many runs.
///
/// `session TYPE = OPEN;` comes first: `OPEN` is a `fn(Caller) -> TYPE`, called when a run
/// begins. A `call` function takes `&Rc<TYPE>` as first parameter, a `start` function
/// `Rc<TYPE>`. The plugin exports `shared-family`, and `family` with `binding` for hosts
/// that give it an instance of its own.
#[macro_export]
macro_rules! shared_family {
    (session $session:ty = $open:expr; $($functions:tt)*) => {
        $crate::__plugin!(shared $session = $open; []; $($functions)*);
        $crate::__export_binding_of_plugin!();
        $crate::__export_shared_of_plugin!($session);
    };
}

/// The table of functions and the `family` interface, for callers in the same composition too.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin {
    ($mode:ident $session:ty = $open:expr; [$($table:path)?]; $(
        $(#[doc = $doc:expr])*
        $kind:ident $name:literal = $($function:ident)::+ ( $($type:ty),* $(,)? );
    )*) => {
        /// What the component exports.
        struct PluginComponent;

        thread_local! {
            static PLUGIN_SESSIONS: $crate::private::Sessions<$session> = ::core::default::Default::default();
        }

        static PLUGIN_FUNCTIONS: $crate::Tables<$session> = &[$(&$table,)? &OWN_FUNCTIONS];

        static OWN_FUNCTIONS: &[$crate::Function<$session>] = &[$(
            $crate::Function {
                name: $name,
                params: <[()]>::len(&[$($crate::__unit!($type)),*]) as u8,
                doc: concat!($($doc, "\n"),*),
                run: $crate::__run!($mode $kind ($($function)::+) ($($type),*)),
            },
        )*];

        impl PluginComponent {
            fn open(who: $crate::Caller) -> $session {
                ($open)(who)
            }

            fn own_session() -> ::core::result::Result<::std::rc::Rc<$session>, $crate::Failure> {
                Ok(PLUGIN_SESSIONS.with(|sessions| {
                    sessions.own($crate::private::bindings(), || Self::open($crate::caller()))
                }))
            }
        }

        impl $crate::bindings::family::exports::mix::ffi::family::Guest for PluginComponent {
            fn describe() -> Vec<$crate::bindings::family::mix::ffi::types::Function> {
                $crate::private::describe(PLUGIN_FUNCTIONS)
            }

            fn call(
                function: u32,
                args: Vec<u8>,
            ) -> ::core::result::Result<Vec<u8>, $crate::bindings::family::mix::ffi::types::Failure> {
                $crate::private::call(PLUGIN_FUNCTIONS, Self::own_session, function, args)
            }

            async fn start(
                function: u32,
                args: Vec<u8>,
            ) -> ::core::result::Result<
                $crate::bindings::family::mix::ffi::types::Reply,
                $crate::bindings::family::mix::ffi::types::Failure,
            > {
                $crate::private::start(PLUGIN_FUNCTIONS, Self::own_session, function, args).await
            }
        }

        impl $crate::bindings::packed::exports::mix::packed::family::Guest for PluginComponent {
            fn describe() -> Vec<$crate::bindings::family::mix::ffi::types::Function> {
                $crate::private::describe(PLUGIN_FUNCTIONS)
            }

            fn call(
                function: u32,
                args: Vec<u8>,
            ) -> ::core::result::Result<Vec<u8>, $crate::bindings::family::mix::ffi::types::Failure> {
                $crate::private::call(PLUGIN_FUNCTIONS, Self::own_session, function, args)
            }

            fn call_packed(
                function: u32,
                size: u32,
                args: Vec<$crate::private::Block>,
            ) -> ::core::result::Result<
                $crate::bindings::packed::mix::packed::types::Packed,
                $crate::bindings::family::mix::ffi::types::Failure,
            > {
                $crate::private::call_packed(PLUGIN_FUNCTIONS, Self::own_session, function, (size, args))
            }

            async fn start(
                function: u32,
                args: $crate::bindings::packed::mix::packed::types::Packed,
            ) -> ::core::result::Result<
                $crate::bindings::packed::mix::packed::types::Reply,
                $crate::bindings::family::mix::ffi::types::Failure,
            > {
                $crate::private::start_packed(PLUGIN_FUNCTIONS, Self::own_session, function, args).await
            }
        }

        impl $crate::bindings::short::exports::mix::packed::short::Guest for PluginComponent {
            fn call(
                function: u32,
                args: $crate::bindings::short::exports::mix::packed::short::ShortValue,
            ) -> $crate::bindings::short::exports::mix::packed::short::Answer {
                $crate::private::call_short(PLUGIN_FUNCTIONS, Self::own_session, function, args)
            }

            fn take() -> ::core::result::Result<Vec<u8>, $crate::bindings::family::mix::ffi::types::Failure> {
                $crate::private::take_kept()
            }
        }

        #[allow(unsafe_code)]
        mod plugin_family_export {
            use super::PluginComponent;
            $crate::bindings::family::__export_family!(PluginComponent);
            $crate::bindings::packed::__export_packed!(PluginComponent);
            $crate::bindings::short::__export_short!(PluginComponent);
        }
    };
}

/// The `binding` interface.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_binding_of_plugin {
    () => {
        impl $crate::bindings::binding::exports::mix::ffi::binding::Guest for PluginComponent {
            fn bind(who: $crate::bindings::family::mix::ffi::types::Caller) {
                $crate::private::bind(who);
            }
        }

        #[allow(unsafe_code)]
        mod plugin_binding_export {
            use super::PluginComponent;
            $crate::bindings::binding::__export_binding!(PluginComponent);
        }
    };
}

/// The `shared-family` interface.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_shared_of_plugin {
    ($session:ty) => {
        impl PluginComponent {
            fn session(
                number: u64,
            ) -> ::core::result::Result<::std::rc::Rc<$session>, $crate::Failure> {
                PLUGIN_SESSIONS.with(|sessions| sessions.get(number))
            }
        }

        impl $crate::bindings::shared::exports::mix::ffi::shared_family::Guest for PluginComponent {
            fn describe() -> Vec<$crate::bindings::family::mix::ffi::types::Function> {
                $crate::private::describe(PLUGIN_FUNCTIONS)
            }

            fn open_session(who: $crate::bindings::family::mix::ffi::types::Caller) -> u64 {
                let session = Self::open(who.into());
                PLUGIN_SESSIONS.with(|sessions| sessions.open(session))
            }

            fn close_session(session: u64) {
                PLUGIN_SESSIONS.with(|sessions| sessions.close(session));
            }

            fn call(
                session: u64,
                function: u32,
                args: Vec<u8>,
            ) -> ::core::result::Result<Vec<u8>, $crate::bindings::family::mix::ffi::types::Failure>
            {
                $crate::private::call(PLUGIN_FUNCTIONS, || Self::session(session), function, args)
            }

            async fn start(
                session: u64,
                function: u32,
                args: Vec<u8>,
            ) -> ::core::result::Result<
                $crate::bindings::family::mix::ffi::types::Reply,
                $crate::bindings::family::mix::ffi::types::Failure,
            > {
                $crate::private::start(PLUGIN_FUNCTIONS, || Self::session(session), function, args)
                    .await
            }
        }

        #[allow(unsafe_code)]
        mod plugin_shared_export {
            use super::PluginComponent;
            $crate::bindings::shared::__export_shared!(PluginComponent);
        }
    };
}

/// How a function of the list is run: arguments taken in order, result encoded.
#[doc(hidden)]
#[macro_export]
macro_rules! __run {
    (alone call ($($function:tt)+) ($($type:ty),*)) => {
        $crate::Run::Call(|_session, incoming, answer| {
            #[allow(unused_mut, unused_variables)]
            let mut arguments = incoming.arguments()?;
            $crate::IntoValue::hand_over($($function)+($(arguments.take::<$type>()?),*), answer)
        })
    };
    (alone start ($($function:tt)+) ($($type:ty),*)) => {
        $crate::Run::Start(|_session, mut incoming| {
            Box::pin(async move {
                let answer = {
                    #[allow(unused_mut, unused_variables)]
                    let mut arguments = incoming.arguments()?;
                    $($function)+($(arguments.take::<$type>()?),*)
                };
                drop(incoming);
                $crate::IntoAnswer::into_answer(answer.await)
            })
        })
    };
    (shared call ($($function:tt)+) ($($type:ty),*)) => {
        $crate::Run::Call(|session, incoming, answer| {
            #[allow(unused_mut, unused_variables)]
            let mut arguments = incoming.arguments()?;
            $crate::IntoValue::hand_over($($function)+(session, $(arguments.take::<$type>()?),*), answer)
        })
    };
    (shared start ($($function:tt)+) ($($type:ty),*)) => {
        $crate::Run::Start(|session, mut incoming| {
            Box::pin(async move {
                let answer = {
                    #[allow(unused_mut, unused_variables)]
                    let mut arguments = incoming.arguments()?;
                    $($function)+(session, $(arguments.take::<$type>()?),*)
                };
                drop(incoming);
                $crate::IntoAnswer::into_answer(answer.await)
            })
        })
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __unit {
    ($type:ty) => {
        ()
    };
}
