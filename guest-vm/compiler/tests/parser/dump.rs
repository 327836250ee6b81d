//! A syntax tree as one line of text.

use mix_compiler::syntax::ast::*;

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(" ")
}

pub fn item(item: &SessionItem) -> String {
    match item {
        SessionItem::Phrase(found) => phrase(found),
        SessionItem::Expr(found) => expr(found),
        SessionItem::Module(found) => module(found),
        SessionItem::Command(found) => format!("#{} <{}>", found.name.text, found.rest),
    }
}

pub fn module(module: &Module) -> String {
    let mut head = format!("module {}", module.name.text);
    if module.is_static {
        head = format!("static {head}");
    }
    if !module.type_vars.is_empty() {
        head += &format!(
            "[{}]",
            list(&module.type_vars, |name| name.text.to_string())
        );
    }
    if !module.params.is_empty() {
        head += &format!(" ({})", params(&module.params));
    }
    format!("({head} {})", list(&module.phrases, phrase))
}

fn params(params: &[Param]) -> String {
    list(params, |param| match &param.ty {
        Some(found) => format!("{}:{}", param.name.text, ty(found)),
        None => param.name.text.to_string(),
    })
}

fn hint(found: &Option<TypeExpr>) -> String {
    found
        .as_ref()
        .map_or(String::new(), |found| format!(":{}", ty(found)))
}

pub fn phrase(phrase: &Phrase) -> String {
    match &phrase.kind {
        PhraseKind::Import(import) => {
            let args = import
                .args
                .as_ref()
                .map_or(String::new(), |args| format!(" ({})", list(args, expr)));
            let binds = list(&import.type_binds, |bind| {
                format!("{}={}", bind.name.text, ty(&bind.ty))
            });
            let name = import
                .binding
                .as_ref()
                .map_or(String::new(), |name| format!("{}=", name.text));
            format!("(import {name}{}[{binds}]{args})", import.module.text)
        }
        PhraseKind::Declare(declare) => {
            format!(
                "(declare {} {})",
                declare.module.text,
                params(&declare.params)
            )
        }
        PhraseKind::Def(def) => {
            let name = &def.name.text;
            let private = if def.private { "private " } else { "" };
            match &def.form {
                DefForm::Declaration { ty: found, .. } => {
                    format!("({private}declare-def {name}:{})", ty(found))
                }
                DefForm::Value { ty, body, .. } => {
                    format!("({private}def {name}{} {})", hint(ty), expr(body))
                }
                DefForm::Function {
                    params: list,
                    result,
                    body,
                } => {
                    format!(
                        "({private}def {name} ({}){} {})",
                        params(list),
                        hint(result),
                        expr(body)
                    )
                }
                DefForm::Effect { body } => format!("(def _ {})", expr(body)),
            }
        }
        PhraseKind::ForeignDef(def) => format!(
            "(foreign {}:{} {:?}{})",
            def.name.text,
            ty(&def.ty),
            def.host.text,
            def.arms
                .iter()
                .map(|arm| format!(" ({} {})", arm.environment.text, expr(&arm.body)))
                .collect::<String>()
        ),
        PhraseKind::Cell(cell) => {
            let sort = match cell.sort {
                CellSort::Formula => "cell",
                CellSort::Var => "var-cell",
                CellSort::Live => "live-cell",
            };
            let name = &cell.name.text;
            match &cell.form {
                CellForm::Declaration { ty: found, .. } => {
                    format!("(declare-{sort} {name}:{})", ty(found))
                }
                CellForm::Value { ty, body, .. } => {
                    format!("({sort} {name}{} {})", hint(ty), expr(body))
                }
                CellForm::Function {
                    params: list, body, ..
                } => {
                    format!("({sort} {name} ({}) {})", params(list), expr(body))
                }
                CellForm::Link { ty, target } => {
                    format!("({sort}-link {name}{} {})", hint(ty), expr(target))
                }
            }
        }
        PhraseKind::Alias(alias) => format!("(alias {} {})", alias.name.text, expr(&alias.target)),
        PhraseKind::Initializer(body) => format!("(initializer {})", block(body)),
        PhraseKind::Observer(observer) => {
            let guard = observer
                .guard
                .as_ref()
                .map_or(String::new(), |guard| format!(" when {}", expr(guard)));
            let watched = list(&observer.watched, |name| name.text.to_string());
            format!("(on ({watched}){guard} {})", block(&observer.body))
        }
        PhraseKind::Case(def) => format!(
            "(case {})",
            list(&def.cases, |case| match &case.argument {
                Some(found) => format!("{}({})", case.name.text, ty(found)),
                None => case.name.text.to_string(),
            })
        ),
        PhraseKind::Type(def) => format!(
            "(type {} ({}) {})",
            def.name.text,
            list(&def.params, |name| name.text.to_string()),
            list(&def.members, ty)
        ),
        PhraseKind::Pragma(found) => format!("(pragma {})", constant(found)),
        PhraseKind::ModuleAlias(alias) => {
            format!("(module-alias {} {})", alias.name.text, alias.target.text)
        }
        PhraseKind::Broken(broken) => format!(
            "(broken {})",
            list(&broken.names, |name| name.text.to_string())
        ),
    }
}

fn constant(found: &Const) -> String {
    mix_compiler::syntax::escaped::plain(found)
        .get("strictTyping")
        .map_or_else(
            || format!("{:?}", mix_compiler::syntax::escaped::plain(found)),
            |value| format!("strictTyping={value:?}"),
        )
}

fn block(found: &Block) -> String {
    format!("{{{}}}", list(&found.statements, statement))
}

fn let_bind(bind: &LetBind) -> String {
    match bind {
        LetBind::Alias { name, value } => format!("alias {} {}", name.text, expr(value)),
        LetBind::Function {
            name,
            params: list,
            result,
            body,
        } => {
            format!(
                "{} ({}){} {}",
                name.text,
                params(list),
                hint(result),
                expr(body)
            )
        }
        LetBind::Pattern {
            pattern: found,
            ty,
            value,
        } => {
            format!("{}{} {}", pattern(found), hint(ty), expr(value))
        }
    }
}

fn place(place: &LValue) -> String {
    let root = if place.through_self { "self." } else { "" };
    format!("{root}{}{}", place.name.text, steps(&place.steps))
}

fn steps(steps: &[Step]) -> String {
    steps
        .iter()
        .map(|step| match &step.kind {
            StepKind::Field(name) => format!(".{}", name.text),
            StepKind::Computed(key) => format!(".({})", expr(key)),
            StepKind::Index(index) => format!("[{}]", expr(index)),
            StepKind::TupleIndex { index, of } => format!("[#{index} of {of}]"),
            StepKind::Label(name) => format!("[#{}]", name.text),
        })
        .collect()
}

fn statement(found: &Statement) -> String {
    match &found.kind {
        StatementKind::Let(bind) => format!("(let {})", let_bind(bind)),
        StatementKind::Var { name, ty, value } => {
            format!(
                "(var {}{} {})",
                name.text,
                hint(&ty.as_deref().cloned()),
                expr(value)
            )
        }
        StatementKind::Assign { target, value } => {
            format!("(set {} {})", place(target), expr(value))
        }
        StatementKind::Return(Some(value)) => format!("(return {})", expr(value)),
        StatementKind::Return(None) => "(return)".to_string(),
        StatementKind::If(found) => {
            let otherwise = found
                .otherwise
                .as_ref()
                .map_or(String::new(), |found| format!(" {}", block(found)));
            format!(
                "(if {} {}{otherwise})",
                expr(&found.condition),
                block(&found.then)
            )
        }
        StatementKind::While { condition, body } => {
            format!("(while {} {})", expr(condition), block(body))
        }
        StatementKind::For(found) => for_statement(found),
        StatementKind::Switch { subject, cases } => format!(
            "(switch {} {})",
            expr(subject),
            list(cases, |case| {
                let guard = case
                    .guard
                    .as_ref()
                    .map_or(String::new(), |guard| format!(" when {}", expr(guard)));
                format!("({}{guard} {})", pattern(&case.pattern), block(&case.body))
            })
        ),
        StatementKind::Block(found) => block(found),
        StatementKind::Expr(found) => expr(found),
    }
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "||",
        BinaryOp::And => "&&",
        BinaryOp::Append => "++",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Remainder => "%",
        BinaryOp::Compare(op) => comparison(op),
    }
}

fn comparison(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Equal => "==",
        CompareOp::NotEqual => "!=",
        CompareOp::Less => "<",
        CompareOp::LessEqual => "<=",
        CompareOp::Greater => ">",
        CompareOp::GreaterEqual => ">=",
        CompareOp::Same => "===",
        CompareOp::NotSame => "!==",
        CompareOp::EqualFold => "==:ci",
        CompareOp::NotEqualFold => "!=:ci",
        CompareOp::LessFold => "<:ci",
        CompareOp::LessEqualFold => "<=:ci",
        CompareOp::GreaterFold => ">:ci",
        CompareOp::GreaterEqualFold => ">=:ci",
    }
}

pub fn expr(found: &Expr) -> String {
    match &found.kind {
        ExprKind::Null => "null".to_string(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Undefined => "undefined".to_string(),
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Float(value) => format!("{value:?}"),
        ExprKind::Str(text) => format!("{text:?}"),
        ExprKind::Name(name) => name.to_string(),
        ExprKind::Wildcard => "_".to_string(),
        ExprKind::SelfName(name) => format!("self.{}", name.text),
        ExprKind::GlobalName(name) => format!("global.{}", name.text),
        ExprKind::Array(items) => format!("[{}]", list(items, expr)),
        ExprKind::LabeledTuple(items) => {
            format!(
                "[{}]",
                list(items, |(name, item)| format!(
                    "#{}:{}",
                    name.text,
                    expr(item)
                ))
            )
        }
        ExprKind::Map(entries) => format!(
            "{{{}}}",
            list(entries, |entry| match &entry.key {
                MapKey::Constant(name) => format!("{}:{}", name.text, expr(&entry.value)),
                MapKey::Computed(key) => format!("({}):{}", expr(key), expr(&entry.value)),
            })
        ),
        ExprKind::Lambda(lambda) => format!(
            "(fn {})",
            lambda
                .arms
                .iter()
                .map(|arm| {
                    let guard = arm
                        .guard
                        .as_ref()
                        .map_or(String::new(), |guard| format!(" when {}", expr(guard)));
                    let params = list(&arm.params, |param| {
                        format!("{}{}", pattern(&param.pattern), hint(&param.ty))
                    });
                    format!("({params}){guard} {}", expr(&arm.body))
                })
                .collect::<Vec<_>>()
                .join(" | ")
        ),
        ExprKind::Let { bind, body } => format!("(let {} in {})", let_bind(bind), expr(body)),
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => {
            format!(
                "(if {} {} {})",
                expr(condition),
                expr(then),
                expr(otherwise)
            )
        }
        ExprKind::Pipe { value, function } => format!("(|> {} {})", expr(value), expr(function)),
        ExprKind::With {
            base,
            steps: path,
            value,
        } => {
            format!("(with {} {} {})", expr(base), steps(path), expr(value))
        }
        ExprKind::Binary {
            op, left, right, ..
        } => {
            format!("({} {} {})", operator(*op), expr(left), expr(right))
        }
        ExprKind::Unary { op, operand } => {
            let op = match op {
                UnaryOp::Not => "not",
                UnaryOp::Negate => "neg",
                UnaryOp::Try => "try",
            };
            format!("({op} {})", expr(operand))
        }
        ExprKind::Call { callee, args } => format!("({} <- {})", expr(callee), list(args, expr)),
        ExprKind::Field { base, name, .. } => format!("{}.{}", expr(base), name.text),
        ExprKind::ComputedField { base, key } => format!("{}.({})", expr(base), expr(key)),
        ExprKind::Label { base, label } => format!("{}[#{}]", expr(base), label.text),
        ExprKind::TupleIndex { base, index, of } => format!("{}[#{index} of {of}]", expr(base)),
        ExprKind::Index { base, index } => format!("{}[{}]", expr(base), expr(index)),
        ExprKind::Slice { base, from, to } => format!(
            "{}[{}..{}]",
            expr(base),
            from.as_ref().map_or(String::new(), |part| expr(part)),
            to.as_ref().map_or(String::new(), |part| expr(part))
        ),
        ExprKind::IsDefined(base) => format!("{}?", expr(base)),
        ExprKind::Previous(base) => format!("{}'", expr(base)),
        ExprKind::Extract(base) => format!("{}^", expr(base)),
        ExprKind::Follow(base) => format!("{}.*", expr(base)),
        ExprKind::Hint { value, ty: found } => format!("(: {} {})", expr(value), ty(found)),
        ExprKind::ProjectionFn(body) => format!("(slot {})", expr(body)),
        ExprKind::Projection(name) => format!(".{}", name.text),
        ExprKind::Do(found) => format!("(do {})", block(found)),
        ExprKind::Action { param, body } => {
            format!(
                "(action ({}) {})",
                param.as_ref().map_or("_", |name| &name.text),
                block(body)
            )
        }
        ExprKind::AppView { module, args } => {
            format!("(appView {} {})", module.text, list(args, expr))
        }
        ExprKind::TypeAssert { ty: found, value } => match value {
            Some(value) => format!("(type {} {})", ty(found), expr(value)),
            None => format!("(type {})", ty(found)),
        },
        ExprKind::Regex(found) => format!("(regex {:?})", found.text),
        ExprKind::EscJson(found) => {
            format!("(esc {:?})", mix_compiler::syntax::escaped::plain(found))
        }
    }
}

fn literal(found: &Literal) -> String {
    match found {
        Literal::Null => "null".to_string(),
        Literal::Bool(value) => value.to_string(),
        Literal::Undefined => "undefined".to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Float(value) => format!("{value:?}"),
        Literal::Str(text) => format!("{text:?}"),
    }
}

pub fn pattern(found: &Pattern) -> String {
    match &found.kind {
        PatternKind::Wildcard => "_".to_string(),
        PatternKind::Name(name) => name.to_string(),
        PatternKind::Literal(found) => literal(found),
        PatternKind::Compare { subject, op, right } => {
            let right = match right {
                CompareRight::Literal(found, _) => literal(found),
                CompareRight::Name(name, _) => name.text.to_string(),
            };
            let subject = subject.as_ref().map_or("_", |name| &name.text);
            format!("({} {subject} {right})", comparison(*op))
        }
        PatternKind::Type(found) => format!("(type {})", ty(found)),
        PatternKind::Case {
            qualifier,
            name,
            argument,
        } => {
            let qualifier = match qualifier {
                None => String::new(),
                Some(Qualifier::SelfModule) => "self.".to_string(),
                Some(Qualifier::Global) => "global.".to_string(),
                Some(Qualifier::Module(name)) => format!("{}.", name.text),
            };
            let argument = argument
                .as_ref()
                .map_or(String::new(), |part| format!("({})", pattern(part)));
            format!("'{qualifier}{}{argument}", name.text)
        }
        PatternKind::Array(elements) => format!(
            "[{}]",
            list(elements, |element| match element {
                PatternElement::Plain(part) => pattern(part),
                PatternElement::Multiple(part) => format!("*{}", pattern(part)),
                PatternElement::Optional(part) => format!("?{}", pattern(part)),
            })
        ),
        PatternKind::Record(fields) => format!(
            "{{{}}}",
            list(fields, |field| {
                let optional = if field.optional { "?" } else { "" };
                format!("{}{optional}:{}", field.name.text, pattern(&field.pattern))
            })
        ),
        PatternKind::And(left, right) => format!("(and {} {})", pattern(left), pattern(right)),
        PatternKind::Or(left, right) => format!("(or {} {})", pattern(left), pattern(right)),
        PatternKind::As(name, inner) => format!("{}@{}", name.text, pattern(inner)),
    }
}

pub fn ty(found: &TypeExpr) -> String {
    match &found.kind {
        TypeKind::Wildcard => "_".to_string(),
        TypeKind::Null => "null".to_string(),
        TypeKind::Named {
            module,
            name,
            args,
            is_var,
        } => {
            let module = module
                .as_ref()
                .map_or(String::new(), |name| format!("{}.", name.text));
            let args = if args.is_empty() {
                String::new()
            } else {
                format!("({})", list(args, ty))
            };
            format!(
                "{module}{}{args}{}",
                name.text,
                if *is_var { "<var>" } else { "" }
            )
        }
        TypeKind::Ranged { name, range } => format!("{}@{range:?}", name.text),
        TypeKind::Tuple(parts) => format!("[{}]", list(parts, ty)),
        TypeKind::LabeledTuple(parts) => {
            format!(
                "[{}]",
                list(parts, |(name, part)| format!("#{}:{}", name.text, ty(part)))
            )
        }
        TypeKind::Record(parts) => {
            format!(
                "{{{}}}",
                list(parts, |(name, part)| format!("{}:{}", name.text, ty(part)))
            )
        }
        TypeKind::Function(param, result) => format!("(-> {} {})", ty(param), ty(result)),
        TypeKind::Sum(parts) => format!("(+ {})", list(parts, ty)),
        TypeKind::Stream(part) => format!("(* {})", ty(part)),
        TypeKind::Forall(names, body) => {
            format!(
                "(forall {} {})",
                list(names, |name| name.text.to_string()),
                ty(body)
            )
        }
        TypeKind::ModuleType(name) => format!("(module {})", name.text),
        TypeKind::Opaque(name) => format!("<{name}>"),
    }
}

fn for_statement(found: &For) -> String {
    match found {
        For::Counting {
            is_var,
            name,
            start,
            condition,
            step_target,
            step_value,
            body,
        } => format!(
            "(for {}{} {} {} ({} {}) {})",
            if *is_var { "var " } else { "" },
            name.text,
            expr(start),
            expr(condition),
            place(step_target),
            expr(step_value),
            block(body)
        ),
        For::Each {
            is_var,
            pattern: found,
            subject,
            body,
        } => format!(
            "(each {}{} {} {})",
            if *is_var { "var " } else { "" },
            pattern(found),
            expr(subject),
            block(body)
        ),
    }
}
