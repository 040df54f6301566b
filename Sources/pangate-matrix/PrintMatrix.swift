import AttackMatrix
import Foundation

/// `pangate-matrix FILE`: writes the attack matrix into FILE, between its two markers; without FILE to standard output.
@main
struct PrintMatrix {
  static func main() {
    do {
      let arguments = CommandLine.arguments.dropFirst()
      guard let path = arguments.first else { return print(AttackMatrix.markdown, terminator: "") }
      guard arguments.count == 1 else { return fail("one file at most") }
      let document = try String(contentsOfFile: path, encoding: .utf8)
      guard let updated = AttackMatrix.update(document) else {
        return fail("\(path): no line '\(AttackMatrix.markers.begin)' before one '\(AttackMatrix.markers.end)'")
      }
      guard updated != document else { return }
      try updated.write(toFile: path, atomically: true, encoding: .utf8)
    } catch { fail("\(error)") }
  }

  private static func fail(_ message: String) {
    FileHandle.standardError.write(Data("pangate-matrix: \(message)\n".utf8))
    exit(2)
  }
}
