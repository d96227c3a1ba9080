package stagedoor_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestSecurityPageNamesTestsThatExist keeps SECURITY.md from promising what a
// renamed or deleted test no longer proves.
func TestSecurityPageNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 50 {
		t.Fatalf("only %d tests were found on the page", len(named))
	}
	for _, name := range named {
		// Cases of a table are named as well.
		if !strings.Contains(tests.String(), "func "+name[1]+"(") && !strings.Contains(tests.String(), `"`+name[1]+`"`) {
			t.Errorf("there is no %s", name[1])
		}
	}
}

// TestEveryFailureOfTheCatalogueHasItsTest keeps the page's forty-four rows
// complete: each failure of services of this class names a test.
func TestEveryFailureOfTheCatalogueHasItsTest(t *testing.T) {
	page, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| (\\d+) \\| .+ \\| .*`Test[A-Za-z0-9]+`.* \\|$").FindAllStringSubmatch(string(page), -1)
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Fatalf("after %d comes %s", i, row[1])
		}
	}
	if len(rows) != 44 {
		t.Errorf("%d rows name a test", len(rows))
	}
}
