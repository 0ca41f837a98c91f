//! Anthropic's tools that the client itself runs, as functions: their published schemas, for models that were never taught them.

use serde_json::json;

use crate::dialect::canonical::Builtin;

/// Returns the function that stands for a tool of this `type` (`bash_20250124`), if the client runs it.
pub(in crate::dialect) fn of(kind: &str) -> Option<Builtin> {
    if kind.starts_with("bash_") {
        Some(bash())
    } else if kind.starts_with("text_editor_") {
        Some(editor())
    } else if kind.starts_with("memory_") {
        Some(memory())
    } else if kind.starts_with("computer_") && !kind.starts_with("computer_toolset") {
        Some(computer())
    } else {
        None
    }
}

fn bash() -> Builtin {
    Builtin::ClientRun {
        description: "Run a command in a bash shell that stays open between calls.",
        schema: json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "The command to run. Required unless `restart` is true."},
                "restart": {"type": "boolean", "description": "Whether to restart the shell."},
            },
        }),
    }
}

fn editor() -> Builtin {
    Builtin::ClientRun {
        description: "View, create and edit text files.",
        schema: json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
                "path": {"type": "string", "description": "The path of the file or directory."},
                "file_text": {"type": "string", "description": "For `create`: the text of the file."},
                "old_str": {"type": "string", "description": "For `str_replace`: the text to replace; must occur exactly once."},
                "new_str": {"type": "string", "description": "For `str_replace`: the text to put in its place."},
                "insert_line": {"type": "integer", "description": "For `insert`: the line after which to insert; 0 is the start."},
                "insert_text": {"type": "string", "description": "For `insert`: the text to insert."},
                "view_range": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "description": "For `view`: the first and the last line to show; -1 is the end.",
                },
            },
            "required": ["command", "path"],
        }),
    }
}

fn memory() -> Builtin {
    Builtin::ClientRun {
        description: "Read and write files that last between conversations, under `/memories`.",
        schema: json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
                "path": {"type": "string", "description": "The path of the file or directory."},
                "view_range": {"type": "array", "items": {"type": "integer"}, "description": "For `view`: the first and the last line."},
                "file_text": {"type": "string", "description": "For `create`: the text of the file."},
                "old_str": {"type": "string", "description": "For `str_replace`: the text to replace."},
                "new_str": {"type": "string", "description": "For `str_replace`: the text to put in its place."},
                "insert_line": {"type": "integer", "description": "For `insert`: the line after which to insert."},
                "insert_text": {"type": "string", "description": "For `insert`: the text to insert."},
                "old_path": {"type": "string", "description": "For `rename`: the path now."},
                "new_path": {"type": "string", "description": "For `rename`: the path to be."},
            },
            "required": ["command"],
        }),
    }
}

fn computer() -> Builtin {
    Builtin::ClientRun {
        description: "Use a computer with a screen, a mouse and a keyboard.",
        schema: json!({
            "type": "object",
            "properties": {
                "action": {
                    "type": "string",
                    "enum": [
                        "screenshot", "left_click", "right_click", "middle_click", "double_click", "triple_click",
                        "left_click_drag", "left_mouse_down", "left_mouse_up", "mouse_move", "cursor_position",
                        "type", "key", "hold_key", "scroll", "wait", "zoom",
                    ],
                },
                "coordinate": {"type": "array", "items": {"type": "integer"}, "description": "`[x, y]` in pixels."},
                "start_coordinate": {"type": "array", "items": {"type": "integer"}, "description": "Where a drag begins."},
                "text": {"type": "string", "description": "The text to type, or the key to press."},
                "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
                "scroll_amount": {"type": "integer"},
                "duration": {"type": "number", "description": "In seconds."},
                "region": {"type": "array", "items": {"type": "integer"}, "description": "For `zoom`: `[x0, y0, x1, y1]`."},
            },
            "required": ["action"],
        }),
    }
}
