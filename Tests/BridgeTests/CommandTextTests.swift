import Bridge
import CoAP
import Testing

@Suite struct CommandTextTests {
  @Test func commandsAreReadAsTheyAreTyped() throws {
    let command = try #require(CommandText("lock: PUT /lock open"))
    #expect(command.node == "lock" && command.method == .put && command.path == ["lock"])
    #expect(command.payload == "open" && command.query.isEmpty)
    #expect(command.description == "lock: PUT /lock open")
    let other = try #require(CommandText(" camera :get /a/b?x=1&y  two words "))
    #expect(other.node == "camera" && other.method == .get && other.path == ["a", "b"])
    #expect(other.query == ["x=1", "y"] && other.payload == "two words")
    for text in ["", "lock", "lock:", "lock: PUT", "lock: JUMP /lock", "lock: PUT lock", ": PUT /lock"] {
      #expect(CommandText(text) == nil)
    }
  }
}
