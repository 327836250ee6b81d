//! Cells, actions and views.

use super::function::FunctionCode;
use crate::core::{CellForm, CellView, Constant, Expr, ExprKind};
use crate::syntax::span::Span;
use mix_bytecode::{self as bytecode, Dst, Op, Reg, TypeDesc};

/// Numbers of [`Op::CellInfo`].
mod info {
    pub const VERSION: u8 = 0;
    pub const AGE: u8 = 1;
    pub const UPDATED: u8 = 2;
    pub const CHANGED: u8 = 3;
    pub const NAME: u8 = 4;
    pub const INNER_NAME: u8 = 5;
    pub const IS_ALIVE: u8 = 6;
}

impl<'a> FunctionCode<'_, 'a> {
    pub fn cell_expr(&mut self, expr: &'a Expr, dst: Dst) {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Appstate => self.emit_at(span, Op::LoadAppstate { dst }),
            ExprKind::InstanceId => self.emit_at(span, Op::InstanceNumber { dst }),
            ExprKind::CellLink(slot) => {
                let slot = self.linker.slot(self.module, *slot);
                self.emit_at(span, Op::LoadLink { dst, slot });
            }
            ExprKind::CellRead { slot, view } => {
                let slot = self.linker.slot(self.module, *slot);
                if *view == CellView::Value {
                    return self.emit_at(span, Op::LoadCell { dst, slot });
                }
                let link = self.b.fresh();
                self.emit_at(
                    span,
                    Op::LoadLink {
                        dst: Dst(link.0),
                        slot,
                    },
                );
                let what = match view {
                    CellView::Value | CellView::Contents => {
                        return self.b.emit(Op::Contents { dst, link });
                    }
                    CellView::Previous => return self.b.emit(Op::Previous { dst, link }),
                    CellView::Version => info::VERSION,
                    CellView::Age => info::AGE,
                    CellView::Updated => info::UPDATED,
                    CellView::Changed => info::CHANGED,
                };
                self.b.emit(Op::CellInfo { what, dst, link });
            }
            ExprKind::CellForm { form, args } => self.cell_form(span, *form, args, dst),
            ExprKind::Action { number, captured } => {
                let Some(function) = self.linker.action(self.module, *number) else {
                    return self.linker.internal(span, "an action without a body");
                };
                let base = self.arguments(captured);
                let count = captured.len().min(255) as u8;
                self.emit_at(
                    span,
                    Op::MakeAction {
                        count,
                        dst,
                        base,
                        function,
                    },
                );
            }
            ExprKind::AppView { module, args } => self.app_view(span, module, args, dst),
            _ => self.linker.internal(span, "no cell form"),
        }
    }

    fn cell_form(&mut self, span: Span, form: CellForm, args: &'a [Expr], dst: Dst) {
        match form {
            CellForm::OnRefresh => return self.emit_at(span, Op::LoadEvent { dst, event: 0 }),
            CellForm::OnView => return self.emit_at(span, Op::LoadEvent { dst, event: 1 }),
            CellForm::Never => return self.emit_at(span, Op::LoadEvent { dst, event: 2 }),
            CellForm::ThisLink => return self.emit_at(span, Op::ThisCell { dst }),
            CellForm::ThisPrevious => {
                let link = self.b.fresh();
                self.emit_at(span, Op::ThisCell { dst: Dst(link.0) });
                return self.b.emit(Op::Previous { dst, link });
            }
            CellForm::Select | CellForm::SelectNotNull | CellForm::SelectNotUnset => {
                let mode = match form {
                    CellForm::Select => 0,
                    CellForm::SelectNotNull => 1,
                    _ => 2,
                };
                if args.len() > 255 {
                    return self.linker.limit("cells of cellSelect", 255, span);
                }
                let base = self.arguments(args);
                let count = args.len() as u8;
                return self.emit_at(
                    span,
                    Op::CellSelect {
                        count,
                        dst,
                        base,
                        mode,
                    },
                );
            }
            CellForm::LiveQuery | CellForm::LiveStream | CellForm::LiveActions => {
                return self.live(span, form, args, dst);
            }
            _ => {}
        }
        let Some(first) = args.first() else {
            return self.linker.internal(span, "a form without arguments");
        };
        let later: Vec<&Expr> = args[1..].iter().collect();
        let link = self.operand_before(first, &later);
        let what = match form {
            CellForm::ContentsOfLink => return self.emit_at(span, Op::Contents { dst, link }),
            CellForm::NewConst | CellForm::NewVar => {
                let variable = form == CellForm::NewVar;
                let src = link;
                return self.emit_at(span, Op::NewCell { dst, src, variable });
            }
            CellForm::Freeze => {
                self.emit_at(span, Op::Freeze { link });
                return self.b.emit(Op::LoadNull { dst });
            }
            CellForm::Mutate => {
                let Some(value) = args.get(1) else {
                    return self.linker.internal(span, "cellMutate without a value");
                };
                let src = self.operand(value);
                self.emit_at(span, Op::Assign { link, src });
                return self.b.emit(Op::LoadNull { dst });
            }
            CellForm::DependentLink | CellForm::MapLinkArray => {
                let Some(subject) = args.get(1) else {
                    return self
                        .linker
                        .internal(span, "a form without its second argument");
                };
                let (make, subject) = (link, self.operand(subject));
                return self.emit_at(
                    span,
                    match form {
                        CellForm::DependentLink => Op::DependentLink { dst, make, subject },
                        _ => Op::MapLinkArray { dst, make, subject },
                    },
                );
            }
            CellForm::SessionScope | CellForm::ScreenScope => {
                let session = form == CellForm::SessionScope;
                self.emit_at(span, Op::ExtendScope { link, session });
                return self.b.emit(Op::LoadNull { dst });
            }
            CellForm::Name => info::NAME,
            CellForm::InnerName => info::INNER_NAME,
            CellForm::IsAlive => info::IS_ALIVE,
            _ => return self.linker.internal(span, "no form about links"),
        };
        self.emit_at(span, Op::CellInfo { what, dst, link });
    }

    /// The head of a live cell.
    fn live(&mut self, span: Span, form: CellForm, args: &'a [Expr], dst: Dst) {
        let key = self.b.fresh();
        if form == CellForm::LiveQuery {
            let [query, changes, database] = args else {
                return self
                    .linker
                    .internal(span, "a live query without its changes");
            };
            self.expr(database, Dst(key.0));
            self.expr(query, dst);
            let make = self.operand(changes);
            let mode = 0;
            let dst = Dst(key.0);
            return self.emit_at(
                span,
                Op::Live {
                    dst,
                    key,
                    make,
                    mode,
                },
            );
        }
        let [make] = args else {
            return self
                .linker
                .internal(span, "a live stream without its source");
        };
        let make = self.operand(make);
        self.b.emit(Op::LoadNull { dst: Dst(key.0) });
        let mode = if form == CellForm::LiveStream { 1 } else { 2 };
        self.emit_at(
            span,
            Op::Live {
                dst,
                key,
                make,
                mode,
            },
        );
    }

    /// `{_rmx_type: "appViewRequest", name: M, params: [args]}`
    fn app_view(&mut self, span: Span, module: &str, args: &'a [Expr], dst: Dst) {
        let shape = self.linker.out.shape(&["_rmx_type", "name", "params"]);
        let base = self.b.fresh_range(3);
        self.at(span);
        self.constant(&Constant::Str("appViewRequest".into()), Dst(base.0));
        self.constant(&Constant::Str(module.into()), Dst(base.0 + 1));
        let params = Dst(base.0 + 2);
        self.array(span, args, params);
        // The arguments must be data.
        let type_id = self.linker.out.type_desc(TypeDesc::Data);
        let src = Reg(params.0);
        self.emit_at(span, Op::Assert { src, type_id });
        self.b.emit(Op::NewMap {
            count: 3,
            dst,
            base,
            shape,
        });
    }

    /// `undefined` may not be stored in `place`.
    pub fn check_stored(&mut self, src: Reg, place: &str, span: Span) {
        let place = self
            .linker
            .out
            .constant(bytecode::Constant::String(place.into()));
        self.emit_at(span, Op::CheckStored { src, place });
    }
}
