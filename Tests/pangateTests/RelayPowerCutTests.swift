import Foundation
import Testing

/// The power goes while the relay is under load, on a disk that keeps what was synced and perhaps the rest
/// (tools/lab/relay_powercut.py).
@Suite(
  "A relay whose power is cut",
  .enabled(if: ZEPHome.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"))
struct RelayPowerCutTests {
  /// What the script prints.
  private struct Summary: Decodable {
    var rounds: Int
    var cuts: Int
    var acknowledged: Int
    var owed: Int
    var lost: Int
    /// By whose syncs did nothing.
    var found: [String: Int]
    var violation: String?

    enum CodingKeys: String, CodingKey {
      case rounds, cuts, acknowledged, owed, lost, violation
      case found = "found_without_sync"
    }
  }

  #if os(Linux)
    @Test("What was acknowledged before the cut is there after it, and without the syncs it is not")
    func cutAnywhere() throws {
      let python = try #require(ZEPHome.python)
      let arguments = [
        Executable.root.appendingPathComponent("tools/lab/relay_powercut.py").path, "--rounds", "2", "--cuts", "12",
        "--self-check", "--pangate", Executable.products.appendingPathComponent("pangate").path,
      ]
      let result = try Executable.run(URL(fileURLWithPath: python), ["-B"] + arguments)
      // What the script says of a violation names the seed, the round and the cut.
      #expect(result.status == 0, "\(result.stdout)\(result.stderr)")
      let summary = try JSONDecoder().decode(Summary.self, from: Data(result.stdout.utf8))
      #expect(summary.rounds == 2)
      #expect(summary.cuts == 24)
      #expect(summary.acknowledged > 0)
      #expect(summary.owed > 0)
      #expect(summary.lost == 0)
      #expect(summary.violation == nil)
      // Else no loss would have been noticed either.
      #expect(summary.found["files", default: 0] > 0)
      #expect(summary.found["directories", default: 0] > 0)
    }
  #endif
}
