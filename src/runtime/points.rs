//! Data points of sales, on their way to Analytics Engine.

use std::rc::Rc;
use std::time::Duration;

use js_sys::futures::JsFuture;
use js_sys::{Array, Function, JSON, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Delay, Env, console_error};

use super::{clock, js};
use crate::settlement::Sale;
use crate::settlement::points::Queue;

/// The name of the binding. `SALES` is a variable.
const BINDING: &str = "ANALYTICS";

/// How long after a sale its point is written: when its buyer has the goods.
const PAUSE: Duration = Duration::from_millis(500);

/// Points that are still to be written.
#[derive(Clone)]
pub(super) struct Points {
    engine: JsValue,
    waiting: Rc<Queue>,
}

impl Points {
    /// Those for the seller's binding, if there is one.
    pub(super) fn of(env: &Env) -> Option<Self> {
        let engine = js::binding(env, BINDING).ok()?;
        Some(Self { engine, waiting: Rc::default() })
    }

    /// Adds one, if there is room; whether somebody is to write them.
    pub(super) fn add(&self, sale: &Sale) -> bool {
        self.waiting.add(sale.data_point(), clock::now())
    }

    /// Writes them: all that have come when the pause is over, as many as one
    /// invocation may.
    pub(super) async fn write(self) {
        Delay::from(PAUSE).await;
        let (points, left_out) = self.waiting.take();
        if left_out > 0 {
            console_error!("{}: {} data points are left out", BINDING, left_out);
        }
        for point in points {
            // One that fails is followed by others like it.
            if let Err(error) = self.write_one(&point).await {
                console_error!("{}: {:?}", BINDING, error);
                return;
            }
        }
    }

    async fn write_one(&self, point: &str) -> Result<(), JsValue> {
        let write: Function =
            Reflect::get(&self.engine, &JsValue::from("writeDataPoint"))?.dyn_into()?;
        let said = Reflect::apply(&write, &self.engine, &Array::of1(&JSON::parse(point)?))?;
        // Analytics Engine says nothing. What stands in for it may promise something.
        JsFuture::from(Promise::resolve(&said)).await.map(drop)
    }
}
