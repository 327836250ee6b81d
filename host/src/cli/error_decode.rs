//! `mixer error-decode`: where the frames of a reported error are in the sources.

use super::debug_data::DebugData;
use super::{Exit, output};
use clap::Args;
use mix_bytecode::component;
use mix_runtime::plugin::LARGEST_COMPONENT;
use mix_runtime::programs;
use mix_runtime::workspace::Place;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Most bytes that are read of an error, and of a source.
const LARGEST: u64 = 16 << 20;

/// Turns the stack of a reported error into places and lines of the sources.
#[derive(Debug, Args)]
pub struct ErrorDecode {
    /// JSON of an error, of its `details`, or of a `mixStack`; standard input without it.
    file: Option<PathBuf>,
    /// The debug data (`.dbg`) or executable (`.mixexe`) that the error is of; may be repeated.
    #[arg(long, value_name = "FILE", conflicts_with = "app")]
    debug: Vec<PathBuf>,
    /// The installed app that the error is of.
    #[arg(long, value_name = "A", requires = "ws_dir")]
    app: Option<String>,
    /// Folder of workspaces.
    #[arg(long, value_name = "D", env = "MIXER_WS_DIR")]
    ws_dir: Option<PathBuf>,
    /// Workspace.
    #[arg(long, value_name = "W", default_value = "local")]
    ws: String,
    /// Folder of the sources, to show their lines.
    #[arg(long, value_name = "D", default_value = ".")]
    sources: PathBuf,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// One frame as it was reported.
struct Frame {
    module: String,
    function: String,
    line: u32,
}

/// Where it is.
struct Found {
    file: String,
    column: u32,
    /// The line of the source, if the source is there.
    text: Option<String>,
}

impl ErrorDecode {
    pub fn execute(self) -> Result<(), Exit> {
        let text = match &self.file {
            Some(file) => read(file)?,
            None => {
                let read = mix_input_file::read_text_of_standard_input(LARGEST);
                read.map_err(|error| Exit::io(format!("standard input: {error}")))?
            }
        };
        let error: Value = serde_json::from_str(&text)
            .map_err(|error| Exit::failed(format!("error: this is no JSON: {error}")))?;
        let Some(frames) = stack(&error) else {
            return Err(Exit::failed(
                "error: there is no mixStack in it; callers who may change the app are told one",
            ));
        };
        let programs = self.programs()?;
        let mut sources = HashMap::new();
        let decoded: Vec<(Frame, Option<Found>)> = frames
            .into_iter()
            .map(|frame| {
                let found = self.find(&programs, &frame, &mut sources);
                (frame, found)
            })
            .collect();
        if self.json {
            let frames: Vec<Value> = decoded.iter().map(as_json).collect();
            return output::line(json!({ "message": message(&error), "frames": frames }));
        }
        if let Some(message) = message(&error) {
            output::line(message)?;
        }
        for (frame, found) in &decoded {
            let name = format!("{}.{}", frame.module, frame.function);
            match found {
                None => output::line(format_args!("  at {name} (line {})", frame.line))?,
                Some(found) => {
                    let place = format!("{}:{}:{}", found.file, frame.line, found.column);
                    output::line(format_args!("  at {name} ({place})"))?;
                    if let Some(text) = &found.text {
                        output::line(format_args!("       {}", text.trim()))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What the error may be of.
    fn programs(&self) -> Result<Vec<DebugData>, Exit> {
        let mut files = self.debug.clone();
        if let (Some(ws_dir), Some(app)) = (&self.ws_dir, &self.app) {
            let place = Place::new(ws_dir, &self.ws, app).map_err(Exit::usage)?;
            let folder = place.code();
            let listed = std::fs::read_dir(&folder)
                .map_err(|error| Exit::io(format!("{}: {error}", folder.display())))?;
            let executables = listed.flatten().map(|entry| entry.path()).filter(|path| {
                path.extension().is_some_and(|end| end == "mixexe") || programs::is_component(path)
            });
            files.extend(executables);
            files.sort();
        }
        let mut data = Vec::new();
        for file in &files {
            data.extend(debug_data(file)?);
        }
        Ok(data)
    }

    fn find(
        &self,
        programs: &[DebugData],
        frame: &Frame,
        sources: &mut HashMap<String, Option<String>>,
    ) -> Option<Found> {
        let (file, column) = programs
            .iter()
            .find_map(|program| program.place(&frame.module, &frame.function, frame.line))?;
        let source = sources
            .entry(file.clone())
            .or_insert_with(|| source(&self.sources, &file));
        let line = source
            .as_ref()
            .and_then(|text| text.lines().nth(frame.line.checked_sub(1)? as usize));
        Some(Found {
            file,
            column,
            text: line.map(str::to_owned),
        })
    }
}

fn read(path: &Path) -> Result<String, Exit> {
    mix_input_file::read_text(path, LARGEST)
        .map_err(|error| Exit::io(format!("{}: {error}", path.display())))
}

/// The source of that name. The name is what the compiler was given, on another machine perhaps:
/// its end is looked for in the folder, which it does not leave.
fn source(folder: &Path, name: &str) -> Option<String> {
    let parts: Vec<&OsStr> = Path::new(name)
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part),
            _ => None,
        })
        .collect();
    (0..parts.len()).find_map(|start| {
        let path = folder.join(parts[start..].iter().collect::<PathBuf>());
        path.is_file().then(|| read(&path).ok())?
    })
}

/// That of a file: of debug data, a program, a library, or the programs that a component carries.
fn debug_data(file: &Path) -> Result<Vec<DebugData>, Exit> {
    let name = file.display();
    let bytes = mix_input_file::read(file, LARGEST_COMPONENT)
        .map_err(|error| Exit::io(format!("{name}: {error}")))?;
    let wrong = |error: String| Exit::failed(format!("error: {name}: {error}"));
    let programs = match programs::is_component(file) {
        true => component::carried(&bytes).map_err(|error| wrong(error.to_string()))?,
        false => vec![bytes.as_slice()],
    };
    let data = programs.into_iter().map(DebugData::read);
    data.collect::<Result<_, _>>().map_err(wrong)
}

/// The frames in an error: `mixStack` wherever it stands, or the array itself.
fn stack(error: &Value) -> Option<Vec<Frame>> {
    let frames = match error {
        Value::Array(frames) => frames,
        Value::Object(members) => match members.get("mixStack").and_then(Value::as_array) {
            Some(frames) => frames,
            None => {
                let inner = ["error", "details", "_rmx_value"];
                return inner.iter().find_map(|name| stack(members.get(*name)?));
            }
        },
        _ => return None,
    };
    frames.iter().map(frame).collect()
}

/// `[module, function, line]`, or an object with these members.
fn frame(value: &Value) -> Option<Frame> {
    let part = |at: usize, name: &str| match value {
        Value::Array(parts) => parts.get(at).cloned(),
        _ => value.get(name).cloned(),
    };
    Some(Frame {
        module: part(0, "module")?.as_str()?.to_owned(),
        function: part(1, "function")?.as_str()?.to_owned(),
        line: u32::try_from(part(2, "line")?.as_u64()?).ok()?,
    })
}

/// The innermost message in an error.
fn message(error: &Value) -> Option<String> {
    let code = |value: &Value| value.get("code")?.as_str().map(str::to_owned);
    for inner in ["error", "details", "_rmx_value"] {
        if let Some(found) = error.get(inner).and_then(message) {
            return Some(found);
        }
    }
    let message = error.get("message")?.as_str()?;
    Some(match code(error) {
        Some(code) => format!("{code}: {message}"),
        None => message.to_owned(),
    })
}

fn as_json((frame, found): &(Frame, Option<Found>)) -> Value {
    let found = found.as_ref();
    json!({
        "module": frame.module,
        "function": frame.function,
        "line": frame.line,
        "file": found.map(|found| &found.file),
        "column": found.map(|found| found.column),
        "text": found.and_then(|found| found.text.as_ref()),
    })
}
