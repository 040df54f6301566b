import Bridge
import CoAP
import Testing

/// What is typed, and what is read; `nil` for what is none.
struct CommandCase: Sendable, CustomTestStringConvertible {
  var text: String
  var node = ""
  var method = CoAPCode.empty
  var path: [String] = []
  var query: [String] = []
  var payload = ""
  /// How it is written again.
  var description: String?

  var testDescription: String { "\"\(text)\"" }

  static let read = [
    CommandCase(
      text: "lock: PUT /lock open", node: "lock", method: .put, path: ["lock"], payload: "open",
      description: "lock: PUT /lock open"),
    CommandCase(
      text: " camera :get /a/b?x=1&y  two words ", node: "camera", method: .get, path: ["a", "b"],
      query: ["x=1", "y"], payload: "two words", description: "camera: GET /a/b?x=1&y two words"),
    CommandCase(
      text: "lock:DELETE /", node: "lock", method: .delete, description: "lock: DELETE /"),
    CommandCase(
      text: "front door: post /?now", node: "front door", method: .post, query: ["now"],
      description: "front door: POST /?now"),
    CommandCase(
      text: "lock: PUT //a//b/ x", node: "lock", method: .put, path: ["a", "b"], payload: "x",
      description: "lock: PUT /a/b x"),
    CommandCase(
      text: "lock: PUT /t {\"at\": \"7:30?\"}", node: "lock", method: .put, path: ["t"],
      payload: "{\"at\": \"7:30?\"}", description: "lock: PUT /t {\"at\": \"7:30?\"}"),
    CommandCase(
      text: "lock: PUT /größe ä", node: "lock", method: .put, path: ["größe"], payload: "ä",
      description: "lock: PUT /größe ä"),
  ]

  static let none = [
    "", ":", "lock", "lock:", "lock: PUT", "lock: JUMP /lock", "lock: PUT lock", ": PUT /lock", "  : PUT /lock",
    "lock PUT /lock open", "lock: /lock PUT", "lock: 0.03 /lock",
  ]
}

@Suite struct CommandTextTests {
  @Test("Commands are read as they are typed, and what is written is read as the same", arguments: CommandCase.read)
  func read(_ test: CommandCase) throws {
    let command = try #require(CommandText(test.text))
    #expect(command.node == test.node && command.method == test.method)
    #expect(command.path == test.path && command.query == test.query && command.payload == test.payload)
    #expect(command.description == test.description)
    #expect(CommandText(command.description) == command)
  }

  @Test("What is no command is none", arguments: CommandCase.none)
  func refused(_ text: String) { #expect(CommandText(text) == nil) }
}
